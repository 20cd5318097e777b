"""The Job that tries a version out before any request reaches it, and the ConfigMap of its plan."""

from typing import Any

from imageclassifier_operator.api import ImageClassifier, ServedVersion, names
from imageclassifier_operator.render.gateway import gateway_image
from imageclassifier_operator.render.manifest import (
    TMP_MOUNT,
    TMP_VOLUME,
    Manifest,
    Settings,
    container,
    metadata,
    pod_spec,
)

CONTAINER = "verify"

DEADLINE_SECONDS = 300
"""The most a whole verification may take, pulling the image included."""

_PLAN_DIRECTORY = "/etc/imageclassifier/verify"
_PICTURES_DIRECTORY = "/etc/imageclassifier/pictures"


def verify_job(
    ic: ImageClassifier, served: ServedVersion, plan_json: str, input_hash: str, settings: Settings
) -> tuple[Manifest, ...]:
    """The ConfigMap of the plan, then the Job; both carry `input_hash` in their name, as a Job cannot be
    changed.

    A picture that the plan takes from the key K of a ConfigMap C lies at `picture_file(C, K)`.
    """
    name = names.verify_name(ic.name, served.version, input_hash)
    meta = metadata(ic, name, component="verify", version=served.version)
    selector = names.selector(ic.name, "verify", served.version)
    config_maps = sorted(
        {case.config_map_key.name for case in ic.rollout.acceptance.cases if case.config_map_key is not None}
    )
    mounts: list[Manifest] = [
        {"name": "plan", "mountPath": _PLAN_DIRECTORY, "readOnly": True},
        TMP_MOUNT,
    ]
    volumes: list[Manifest] = [
        {"name": "plan", "configMap": {"name": name}},
        TMP_VOLUME,
    ]
    for number, config_map in enumerate(config_maps):
        volume = f"pictures-{number}"
        mounts.append({"name": volume, "mountPath": f"{_PICTURES_DIRECTORY}/{config_map}", "readOnly": True})
        # Optional: a missing ConfigMap is the verdict's to tell, a pod that never starts could not.
        volumes.append({"name": volume, "configMap": {"name": config_map, "optional": True}})
    pod = pod_spec(
        containers=[
            container(
                CONTAINER,
                gateway_image(ic, settings),
                ic.gateway.image_pull_policy,
                command=["python", "-m", "imageclassifier_gateway.verify"],
                args=["--plan", f"{_PLAN_DIRECTORY}/plan.json"],
                env=_environment(ic),
                resources=ic.gateway.resources,
                volumeMounts=mounts,
            )
        ],
        volumes=volumes,
        selector=selector,
        termination_grace_seconds=5,
        pull_secrets=ic.gateway.image_pull_secrets,
    )
    pod["restartPolicy"] = "Never"
    return (
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"plan.json": plan_json}},
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": meta,
            "spec": {
                "backoffLimit": 0,
                "activeDeadlineSeconds": DEADLINE_SECONDS,
                "template": {"metadata": {"labels": meta["labels"]}, "spec": pod},
            },
        },
    )


def picture_file(config_map: str, key: str) -> str:
    """Where a verification finds the picture that is kept under `key` of a ConfigMap."""
    return f"{_PICTURES_DIRECTORY}/{config_map}/{key}"


def _environment(ic: ImageClassifier) -> list[Manifest]:
    urls = ic.gateway.urls
    values: dict[str, Any] = {
        "GATEWAY_MAX_IMAGE_BYTES": str(ic.gateway.max_image_bytes),
        "GATEWAY_TIMEOUT_SECONDS": str(ic.gateway.timeout_seconds),
        "GATEWAY_URL_ALLOWED_HOSTS": ",".join(urls.allowed_hosts),
        "GATEWAY_URL_ALLOW_PRIVATE_NETWORKS": "true" if urls.allow_private_networks else "false",
    }
    return [{"name": name, "value": value} for name, value in values.items() if value]
