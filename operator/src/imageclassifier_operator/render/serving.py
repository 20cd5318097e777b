"""The model server of one version: Deployment, headless Service and PodDisruptionBudget.

Model files reach the server in one of two ways. From an image, an init container copies them with the
image's own `cp` into a volume; naming saved_model.pb beside its directory makes that `cp` fail, with one
line, when the file is missing, so the image needs no shell. From a PersistentVolumeClaim they are mounted
read-only, and the same check is a `cp` of that file to nowhere. The init container has the server's
resources: it runs before it, so they cost nothing more. The server's two small configuration files are
annotations of its pod, mounted through the downward API: no further object, and a change of them replaces
the pods as it must.
"""

import json
import math

from imageclassifier_operator.api import ImageClassifier, ImageSource, ServedVersion, names
from imageclassifier_operator.api.quantity import cores
from imageclassifier_operator.api.serving import Batching
from imageclassifier_operator.render.manifest import (
    TMP_MOUNT,
    TMP_VOLUME,
    Manifest,
    container,
    deployment,
    disruption_budget,
    metadata,
    pod_spec,
)

CONTAINER = "model-server"
INIT_CONTAINER = "model-files"

_CONFIG_DIRECTORY = "/etc/model-server"
_MODEL_ROOT = "/models"
_COPY_ROOT = "/model-copy"

DNS_CACHE_SECONDS = 30
"""How long a cluster's DNS may go on naming a pod that is gone (the usual TTL of CoreDNS and NodeLocal
DNSCache).
"""
MAX_CONNECTION_AGE_SECONDS = 10
"""The server asks its clients that often to connect, and so to resolve, anew; gRPC adds up to 10 % of
jitter."""
MAX_PICTURES_PER_CALL = 8
"""The most pictures that a gateway sends in one call, and that an exported model is warmed up with."""
MAX_CALLS = 64
"""Calls that a server answers at once: as many as a gateway of one core has under way. One more is refused
with RESOURCE_EXHAUSTED; the gateway tries another pod, then says 503. TensorFlow Serving's own limit is four
for each core of the node, whatever the pod's limit, less one thread that listens: 7 on two cores.
"""


def termination_grace_seconds(timeout_seconds: int) -> int:
    """How long a model server goes on serving after it was told to stop.

    TensorFlow Serving does not handle SIGTERM: it serves until it is killed. So the time must cover DNS
    forgetting the pod, the oldest connection ending, and the last request on it.
    """
    return DNS_CACHE_SECONDS + math.ceil(MAX_CONNECTION_AGE_SECONDS * 1.1) + timeout_seconds + 4


def serving_children(
    ic: ImageClassifier, served: ServedVersion, replicas: int, *, has_served: bool = False
) -> tuple[Manifest, ...]:
    """The three children of one version.

    The Deployment's annotations say what it was made from, so that a lost rollout state can be rebuilt
    from it; `has_served` marks a version that has taken traffic.
    """
    name = names.serving_name(ic.name, served.version)
    selector = names.selector(ic.name, "serving", served.version)
    annotations = {
        names.ANNOTATION_INPUT_HASH: served.input_hash,
        names.ANNOTATION_SOURCE_HASH: served.source_hash,
        names.ANNOTATION_SERVED_VERSION: json.dumps(served.to_json(), sort_keys=True, ensure_ascii=False),
    }
    if has_served:
        annotations[names.ANNOTATION_HAS_SERVED] = "true"

    def meta(**extra: dict[str, str]) -> Manifest:
        return metadata(ic, name, component="serving", version=served.version, **extra)

    pod, files = _pod(ic, served, selector), _config_files(served)
    return (
        deployment(
            meta(annotations=annotations),
            replicas=replicas,
            selector=selector,
            pod=pod,
            # Tells these pods from those that the same number had with other inputs.
            pod_annotations={**files, names.ANNOTATION_POD_HASH: served.pod_hash},
        ),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": meta(),
            "spec": {
                "type": "ClusterIP",
                "clusterIP": "None",
                "selector": selector,
                "ports": [
                    {
                        "name": "grpc",
                        "port": names.MODEL_GRPC_PORT,
                        "targetPort": "grpc",
                        "protocol": "TCP",
                        "appProtocol": "kubernetes.io/h2c",
                    }
                ],
            },
        },
        disruption_budget(meta(), selector),
    )


def _config_files(served: ServedVersion) -> dict[str, str]:
    """Pod annotations that become the server's configuration files; both are protobuf text."""
    files = {
        names.ANNOTATION_MODEL_CONFIG: (
            "model_config_list { config { "
            f"name: {json.dumps(served.model_name)} base_path: {json.dumps(_base_path(served))} "
            'model_platform: "tensorflow" '
            f"model_version_policy {{ specific {{ versions: {served.version} }} }} "
            "} }\n"
        )
    }
    if served.serving.batching is not None:
        cpu_limit = served.serving.resources.get("limits", {}).get("cpu")
        files[names.ANNOTATION_BATCHING_CONFIG] = batching_config(served.serving.batching, cpu_limit)
    return files


def batching_config(batching: Batching, cpu_limit: str | None) -> str:
    """TensorFlow Serving's BatchingParameters as protobuf text.

    TensorFlow Serving refuses a call with more pictures than `max_batch_size`, and fails to load a model
    whose warm-up has such a call. So a run may be smaller than MAX_PICTURES_PER_CALL, but a call may not: the
    server then splits it. The queue always has room for the parts of one call.
    """
    run = batching.max_batch_size
    splitting, batches = "", batching.max_enqueued_batches
    if run < MAX_PICTURES_PER_CALL:
        splitting = (
            f" enable_large_batch_splitting {{ value: true }} max_execution_batch_size {{ value: {run} }}"
        )
        batches = max(batches, math.ceil(MAX_PICTURES_PER_CALL / run))
    # Without a limit the server takes one thread for each core of the node.
    threads = "" if cpu_limit is None else f"num_batch_threads {{ value: {math.ceil(cores(cpu_limit))} }} "
    return (
        f"max_batch_size {{ value: {max(run, MAX_PICTURES_PER_CALL)} }} "
        f"batch_timeout_micros {{ value: {batching.timeout_microseconds} }} "
        f"{threads}"
        f"max_enqueued_batches {{ value: {batches} }}{splitting}\n"
    )


def _base_path(served: ServedVersion) -> str:
    if isinstance(served.source, ImageSource):
        return f"{_MODEL_ROOT}/{served.model_name}"
    return f"{_MODEL_ROOT}/{served.source.path}".rstrip("/")


def flags(served: ServedVersion, timeout_seconds: int) -> list[str]:
    """The arguments of tensorflow_model_server."""
    age_ms = MAX_CONNECTION_AGE_SECONDS * 1000
    result = [
        f"--port={names.MODEL_GRPC_PORT}",
        f"--model_config_file={_CONFIG_DIRECTORY}/models.config",
        # The one version is there from the start: look once, and say so at once when it cannot be loaded.
        "--file_system_poll_wait_seconds=0",
        "--max_num_load_retries=0",
        "--enable_grpc_healthcheck_service=true",
        f"--grpc_max_threads={MAX_CALLS + 1}",
        "--grpc_channel_arguments="
        f"grpc.max_connection_age_ms={age_ms},grpc.max_connection_age_grace_ms={timeout_seconds * 1000}",
    ]
    if served.serving.batching is not None:
        result += [
            "--enable_batching=true",
            f"--batching_parameters_file={_CONFIG_DIRECTORY}/batching.config",
        ]
    if "cpu" in served.serving.resources.get("limits", {}):
        # TensorFlow sizes its pools by the node's cores; a pod with fewer would be throttled.
        result += [
            "--tensorflow_intra_op_parallelism=$(CPU_LIMIT)",
            "--tensorflow_inter_op_parallelism=$(CPU_LIMIT)",
        ]
    return result


def _pod(ic: ImageClassifier, served: ServedVersion, selector: dict[str, str]) -> Manifest:
    settings = served.serving
    timeout_seconds = ic.gateway.timeout_seconds
    model_volume: Manifest = {"name": "model", "mountPath": _MODEL_ROOT, "readOnly": True}
    files: Manifest
    if isinstance(served.source, ImageSource):
        model_volume["mountPath"] = _base_path(served)
        origin = f"{_MODEL_ROOT}/{served.model_name}/{served.version}"
        files = {"name": "model", "emptyDir": {}}
        init = container(
            INIT_CONTAINER,
            served.source.image,
            served.source.pull_policy,
            command=["cp", "-Rf", origin, f"{origin}/saved_model.pb", f"{_COPY_ROOT}/"],
            volumeMounts=[{"name": "model", "mountPath": _COPY_ROOT}],
            resources=settings.resources,
        )
    else:
        files = {
            "name": "model",
            "persistentVolumeClaim": {"claimName": served.source.claim_name, "readOnly": True},
        }
        init = container(
            INIT_CONTAINER,
            served.server_image,
            settings.image_pull_policy,
            command=["cp", f"{_base_path(served)}/{served.version}/saved_model.pb", "/dev/null"],
            volumeMounts=[model_volume],
            resources=settings.resources,
        )
    probe = {"grpc": {"port": names.MODEL_GRPC_PORT, "service": ""}}
    server = container(
        CONTAINER,
        served.server_image,
        settings.image_pull_policy,
        # Not the image's entry point: that is a shell script which stays in front of the server.
        command=["tensorflow_model_server"],
        args=flags(served, timeout_seconds),
        ports=[{"name": "grpc", "containerPort": names.MODEL_GRPC_PORT, "protocol": "TCP"}],
        # The port opens only after the model is loaded. The progress deadline of the rollout bounds loading.
        startupProbe={**probe, "periodSeconds": 1, "timeoutSeconds": 2, "failureThreshold": 3600},
        readinessProbe={**probe, "periodSeconds": 5, "timeoutSeconds": 2, "failureThreshold": 3},
        livenessProbe={**probe, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6},
        resources=settings.resources,
        volumeMounts=[
            model_volume,
            {"name": "config", "mountPath": _CONFIG_DIRECTORY, "readOnly": True},
            TMP_MOUNT,
        ],
    )
    if "cpu" in settings.resources.get("limits", {}):
        server["env"] = [
            {
                "name": "CPU_LIMIT",
                "valueFrom": {
                    "resourceFieldRef": {
                        "containerName": CONTAINER,
                        "resource": "limits.cpu",
                        "divisor": "1",
                    }
                },
            }
        ]
    pod = pod_spec(
        init_containers=[init],
        containers=[server],
        volumes=[
            files,
            {
                "name": "config",
                "downwardAPI": {
                    "items": [
                        {
                            "path": annotation.split("/", 1)[1],
                            "fieldRef": {
                                "apiVersion": "v1",
                                "fieldPath": f"metadata.annotations['{annotation}']",
                            },
                        }
                        for annotation in _config_files(served)
                    ]
                },
            },
            TMP_VOLUME,
        ],
        selector=selector,
        termination_grace_seconds=termination_grace_seconds(timeout_seconds),
        pull_secrets=served.source.pull_secrets,
    )
    if settings.node_selector:
        pod["nodeSelector"] = dict(settings.node_selector)
    if settings.tolerations:
        pod["tolerations"] = [dict(toleration) for toleration in settings.tolerations]
    if settings.affinity:
        pod["affinity"] = settings.affinity
    if settings.priority_class_name:
        pod["priorityClassName"] = settings.priority_class_name
    return pod
