"""The parts that all our manifests share: metadata, the pods' security, and where pods spread.

Values that the API server would default are left out, unless a list's key needs them (`protocol` of a
port): a field we do not set is left alone, so that admission may set it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from imageclassifier_operator.api import ImageClassifier, names

Manifest = dict[str, Any]

USER_ID = 65532
"""The numeric user of every pod (distroless images call it `nonroot`); no image needs an entry for it."""

TMP_VOLUME: Manifest = {"name": "tmp", "emptyDir": {}}
TMP_MOUNT: Manifest = {"name": "tmp", "mountPath": "/tmp"}  # noqa: S108 - the pod's own empty directory


@dataclass(frozen=True)
class Settings:
    """What the installation says: the gateway image of this release, and where the operator itself runs."""

    gateway_image: str
    operator_namespace: str


def metadata(
    ic: ImageClassifier,
    name: str,
    *,
    component: names.Component | None = None,
    version: int | None = None,
    annotations: dict[str, str] | None = None,
) -> Manifest:
    """Metadata of a child: it belongs to `ic` and goes with it."""
    result: Manifest = {
        "name": name,
        "namespace": ic.namespace,
        "labels": names.labels(ic.name, component, version),
        "ownerReferences": [names.owner_reference(ic.name, ic.uid)],
    }
    if annotations:
        result["annotations"] = annotations
    return result


def pod_spec(
    *,
    containers: list[Manifest],
    volumes: list[Manifest],
    selector: dict[str, str],
    termination_grace_seconds: int,
    pull_secrets: Sequence[str],
    init_containers: list[Manifest] | None = None,
) -> Manifest:
    """A pod that passes the Pod Security Standard «restricted», holds no API token and spreads over nodes
    and zones.
    """
    result: Manifest = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER_ID,
            "runAsGroup": USER_ID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "terminationGracePeriodSeconds": termination_grace_seconds,
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": key,
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": selector},
            }
            for key in ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
        ],
        "containers": containers,
        "volumes": volumes,
    }
    if init_containers:
        result["initContainers"] = init_containers
    if pull_secrets:
        result["imagePullSecrets"] = [{"name": name} for name in pull_secrets]
    return result


def container(name: str, image: str, pull_policy: str | None, **fields: Any) -> Manifest:
    """A container without any privilege; its last log lines are the termination message when it fails."""
    result: Manifest = {
        "name": name,
        "image": image,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        **fields,
    }
    if pull_policy is not None:
        result["imagePullPolicy"] = pull_policy
    return result


def deployment(
    meta: Manifest,
    *,
    replicas: int,
    selector: dict[str, str],
    pod: Manifest,
    pod_annotations: dict[str, str] | None = None,
) -> Manifest:
    """A Deployment whose pods are replaced one by one, each only after its successor answers."""
    template: Manifest = {"metadata": {"labels": meta["labels"]}, "spec": pod}
    if pod_annotations:
        template["metadata"]["annotations"] = pod_annotations
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": meta,
        "spec": {
            "replicas": replicas,
            "revisionHistoryLimit": 2,
            "selector": {"matchLabels": selector},
            "paused": False,  # rolled out by us alone: one that somebody paused would wait for ever
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": template,
        },
    }


def disruption_budget(meta: Manifest, selector: dict[str, str]) -> Manifest:
    """One pod at a time may be evicted, and pods that do not answer anyway never hold up a node's drain."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": meta,
        "spec": {
            "maxUnavailable": 1,
            "selector": {"matchLabels": selector},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }
