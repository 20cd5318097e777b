"""The Job that verifies a version before it gets any request, and the ConfigMap with its plan."""

from imageclassifier_operator.api import ImageClassifier, ModelVersion, names
from imageclassifier_operator.render.dataset import dataset_parts
from imageclassifier_operator.render.gateway import gateway_image, max_image_pixels
from imageclassifier_operator.render.picture_urls import url_mounts, url_variables, url_volumes
from imageclassifier_operator.render.shared_parts import (
    TMP_MOUNT,
    TMP_VOLUME,
    Installation,
    Manifest,
    container,
    metadata,
    pod_spec,
    pull_secrets,
    variables,
)
from imageclassifier_operator.render.tracing import tracing_variables

JOB_DEADLINE_SECONDS = 300
"""The deadline of a verification Job without a data set, which includes pulling the image."""

MAX_PLAN_ANNOTATION_BYTES = 16384
"""A longer plan, as one with pictures in it, gets a ConfigMap. Pods are cached, and may have 256 KiB of
annotations.
"""

_PLAN_FILE = "plan.json"
_PLAN_DIRECTORY = "/etc/imageclassifier/verify"
_PICTURES_DIRECTORY = "/etc/imageclassifier/pictures"


def verify_job(
    ic: ImageClassifier, served: ModelVersion, plan_json: str, attempt: str, installation: Installation
) -> tuple[Manifest, ...]:
    """The Job, whose name has `attempt`, since a Job is immutable, and the ConfigMap with a long plan.

    A short plan is an annotation of the Job's pod, mounted through the downward API.
    A picture from a key of a ConfigMap is mounted at `picture_file(config_map, key)`.
    """
    name, is_short = names.verify_name(ic.name, served.version, attempt), _is_short(plan_json)
    meta = metadata(ic, name, component="verify", version=served.version)
    selector = names.selector(ic.name, "verify", served.version)
    config_maps = sorted(
        {case.config_map_key.name for case in ic.rollout.acceptance.cases if case.config_map_key is not None}
    )
    mounts: list[Manifest] = [
        {"name": "plan", "mountPath": _PLAN_DIRECTORY, "readOnly": True},
        *url_mounts(ic),
        TMP_MOUNT,
    ]
    volumes: list[Manifest] = [
        {"name": "plan", **(_plan_of_annotation() if is_short else {"configMap": {"name": name}})},
        *url_volumes(ic),
        TMP_VOLUME,
    ]
    for number, config_map in enumerate(config_maps):
        volume = f"pictures-{number}"
        mounts.append({"name": volume, "mountPath": f"{_PICTURES_DIRECTORY}/{config_map}", "readOnly": True})
        # Optional: the verdict reports a missing ConfigMap. A pod that cannot start would report nothing.
        volumes.append({"name": volume, "configMap": {"name": config_map, "optional": True}})
    dataset, parts = ic.rollout.acceptance.dataset, dataset_parts(ic)
    pod = pod_spec(
        containers=[
            container(
                names.VERIFY_CONTAINER,
                gateway_image(ic, installation),
                ic.gateway.image_pull_policy,
                command=["python", "-m", "imageclassifier_gateway.verify"],
                args=["--plan", f"{_PLAN_DIRECTORY}/{_PLAN_FILE}"],
                env=_environment(ic),
                resources=ic.gateway.resources,
                volumeMounts=[*mounts, *parts.mounts],
                **_progress_port(ic),
            )
        ],
        init_containers=parts.init_containers,
        volumes=[*volumes, *parts.volumes],
        selector=selector,
        termination_grace_seconds=5,
    )
    if secrets := dict.fromkeys((*ic.gateway.image_pull_secrets, *parts.pull_secrets)):
        pod["imagePullSecrets"] = pull_secrets(tuple(secrets))
    pod["restartPolicy"] = "Never"
    pod_metadata: Manifest = {"labels": meta["labels"]}
    if is_short:
        pod_metadata["annotations"] = {names.ANNOTATION_PLAN: plan_json}
    job: Manifest = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": meta,
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": JOB_DEADLINE_SECONDS
            + (0 if dataset is None else dataset.timeout_seconds),
            "template": {"metadata": pod_metadata, "spec": pod},
        },
    }
    if is_short:
        return (job,)
    data = {_PLAN_FILE: plan_json}
    return ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}, job)


def _is_short(plan_json: str) -> bool:
    return len(plan_json.encode()) <= MAX_PLAN_ANNOTATION_BYTES


def _plan_of_annotation() -> Manifest:
    path = f"metadata.annotations['{names.ANNOTATION_PLAN}']"
    item = {"path": _PLAN_FILE, "fieldRef": {"apiVersion": "v1", "fieldPath": path}}
    return {"downwardAPI": {"items": [item]}}


def picture_file(config_map: str, key: str) -> str:
    """The path in the verification pod of the picture under `key` of a ConfigMap."""
    return f"{_PICTURES_DIRECTORY}/{config_map}/{key}"


def _progress_port(ic: ImageClassifier) -> Manifest:
    """The port on which the operator polls the progress of a data set."""
    if ic.rollout.acceptance.dataset is None:
        return {}
    port = {"name": "internal", "containerPort": names.GATEWAY_INTERNAL_PORT, "protocol": "TCP"}
    return {"ports": [port]}


def _environment(ic: ImageClassifier) -> list[Manifest]:
    return [
        {"name": "GATEWAY_MAX_IMAGE_BYTES", "value": str(ic.gateway.max_image_bytes)},
        *variables({"GATEWAY_MAX_IMAGE_PIXELS": max_image_pixels(ic.gateway)}),
        {"name": "GATEWAY_TIMEOUT_SECONDS", "value": str(ic.gateway.timeout_seconds)},
        *url_variables(ic),
        *tracing_variables(ic, "verify"),
    ]
