"""The model server of one version: its Deployment, headless Service and PodDisruptionBudget.

The server's configuration files are annotations of its pod, mounted through the downward API. That needs no
further object, and a changed file replaces the pods.
"""

import json
import math

from imageclassifier_operator.api import ImageClassifier, ModelVersion, names
from imageclassifier_operator.render.model_files import model_files
from imageclassifier_operator.render.model_server_config import (
    CONFIG_DIRECTORY,
    MAX_CONNECTION_AGE_SECONDS,
    config_files,
    server_flags,
)
from imageclassifier_operator.render.shared_parts import (
    TMP_MOUNT,
    TMP_VOLUME,
    Manifest,
    container,
    cpu_limit,
    deployment,
    disruption_budgets,
    metadata,
    pod_spec,
    pull_secrets,
)

DNS_CACHE_SECONDS = 30
"""How long a cluster's DNS may return the address of a pod that is gone (the usual TTL of CoreDNS and
NodeLocal DNSCache).
"""


def termination_grace_seconds(timeout_seconds: int) -> int:
    """How long a terminating model server goes on serving.

    TensorFlow Serving ignores SIGTERM and serves until it is killed. The time covers the DNS cache, the age
    of the oldest connection, and the last request on it.
    """
    return DNS_CACHE_SECONDS + math.ceil(MAX_CONNECTION_AGE_SECONDS * 1.1) + timeout_seconds + 4


def serving_children(
    ic: ImageClassifier,
    served: ModelVersion,
    replicas: int,
    *,
    has_served: bool = False,
    pod_hash: str | None = None,
) -> tuple[Manifest, ...]:
    """The children of one version: Deployment, Service and, for several pods, the PodDisruptionBudget.

    The Deployment's annotations contain its inputs, so that a lost state can be recovered from it.
    `has_served` marks a version that has had traffic. `pod_hash` is the hash that its pods have already.
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

    pod, files = _pod(ic, served, selector), config_files(served)
    return (
        deployment(
            meta(annotations=annotations),
            replicas=replicas,
            selector=selector,
            pod=pod,
            # Tells these pods from earlier ones of the same version number with other inputs.
            pod_annotations={**files, names.ANNOTATION_POD_HASH: pod_hash or served.pod_hash},
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
        *disruption_budgets(
            meta(), selector, max(replicas, ic.autoscaling.max_replicas if ic.autoscaling else 0)
        ),
    )


def _pod(ic: ImageClassifier, served: ModelVersion, selector: dict[str, str]) -> Manifest:
    settings, files = served.serving, model_files(served)
    pod = pod_spec(
        init_containers=files.init_containers,
        containers=[_server(ic, served, files.mounts)],
        volumes=[*files.volumes, _config_volume(served), TMP_VOLUME],
        selector=selector,
        termination_grace_seconds=termination_grace_seconds(ic.gateway.timeout_seconds),
    )
    # A pod has one list for all its images.
    if secrets := tuple(dict.fromkeys((*files.pull_secrets, *settings.image_pull_secrets))):
        pod["imagePullSecrets"] = pull_secrets(secrets)
    return pod


def _config_volume(served: ModelVersion) -> Manifest:
    """The server's configuration files, from the pod's annotations."""
    items = [
        {
            "path": annotation.split("/", 1)[1],
            "fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.annotations['{annotation}']"},
        }
        for annotation in config_files(served)
    ]
    return {"name": "config", "downwardAPI": {"items": items}}


def _server(ic: ImageClassifier, served: ModelVersion, model_mounts: list[Manifest]) -> Manifest:
    settings = served.serving
    probe = {"grpc": {"port": names.MODEL_GRPC_PORT, "service": ""}}
    server = container(
        names.MODEL_SERVER,
        served.server_image,
        settings.image_pull_policy,
        # Not the image's entry point, which is a shell script that stays the parent of the server.
        command=["tensorflow_model_server"],
        args=server_flags(served, ic.gateway.timeout_seconds),
        ports=[{"name": "grpc", "containerPort": names.MODEL_GRPC_PORT, "protocol": "TCP"}],
        # The port opens after the model is loaded. The rollout's progress deadline limits the time for that.
        startupProbe={**probe, "periodSeconds": 1, "timeoutSeconds": 2, "failureThreshold": 3600},
        readinessProbe={**probe, "periodSeconds": 5, "timeoutSeconds": 2, "failureThreshold": 3},
        livenessProbe={**probe, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6},
        resources=settings.resources,
        volumeMounts=[
            *model_mounts,
            {"name": "config", "mountPath": CONFIG_DIRECTORY, "readOnly": True},
            TMP_MOUNT,
        ],
    )
    if "cpu" in settings.resources.get("limits", {}):
        server["env"] = [{"name": "CPU_LIMIT", "valueFrom": cpu_limit(names.MODEL_SERVER)}]
    return server
