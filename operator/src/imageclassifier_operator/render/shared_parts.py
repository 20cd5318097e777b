"""The parts that all manifests share: metadata, pod security, and how pods spread over nodes.

Fields with the API server's default are left out, so that admission may set them. The exception are keys of
lists, such as a port's `protocol`.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from imageclassifier_operator.api import names
from imageclassifier_operator.settings import DnsPlace

Manifest = dict[str, Any]

USER_ID = 65532
"""The numeric user of every pod. Distroless images call it `nonroot`; no image needs an entry for it."""

TMP_VOLUME: Manifest = {"name": "tmp", "emptyDir": {}}
TMP_MOUNT: Manifest = {"name": "tmp", "mountPath": "/tmp"}  # noqa: S108 - the pod's own empty directory


@dataclass(frozen=True)
class Installation:
    """The settings of the installation: the gateway image of this release, and what the cluster has.

    `prometheus_namespace`: that of Prometheus if it may read metrics. `dns`: where the DNS servers are; empty
    means the usual places.
    """

    gateway_image: str
    operator_namespace: str
    prometheus_namespace: str | None = None
    dns: tuple[DnsPlace, ...] = ()
    network_policies: bool = True


USUAL_INSTALLATION = Installation("", "")
"""An installation in a cluster with the usual DNS. It has no images, so it renders no gateway."""


class Owner(Protocol):
    """The ImageClassifier of a child, also when its spec is invalid."""

    @property
    def name(self) -> str:
        """The name of the ImageClassifier."""

    @property
    def namespace(self) -> str:
        """The namespace of the ImageClassifier and of its children."""

    @property
    def uid(self) -> str:
        """The uid of the ImageClassifier."""


def metadata(
    ic: Owner,
    name: str,
    *,
    component: names.Component | None = None,
    version: int | None = None,
    annotations: dict[str, str] | None = None,
) -> Manifest:
    """The metadata of a child, which Kubernetes deletes together with `ic`."""
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
    init_containers: list[Manifest] | None = None,
) -> Manifest:
    """A pod that meets the Pod Security Standard `restricted`, has no API token, and spreads over nodes."""
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
    return result


def pull_secrets(secrets: Sequence[str]) -> list[Manifest]:
    """The imagePullSecrets of a pod."""
    return [{"name": name} for name in secrets]


def variables(values: Mapping[str, str]) -> list[Manifest]:
    """Environment variables. The API server drops an empty value, which would look like a change."""
    return [{"name": name, "value": value} for name, value in values.items() if value]


def cpu_limit(container_name: str) -> Manifest:
    """The source of an environment variable with the CPU limit of a container, in whole cores."""
    return {"resourceFieldRef": {"containerName": container_name, "resource": "limits.cpu", "divisor": "1"}}


def container(name: str, image: str, pull_policy: str | None, **fields: Any) -> Manifest:
    """A container without privileges. When it fails, its termination message is the end of its log."""
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
    replicas: int | None,
    selector: dict[str, str],
    pod: Manifest,
    pod_annotations: dict[str, str] | None = None,
) -> Manifest:
    """A Deployment that replaces its pods one by one, each after its successor is ready."""
    template: Manifest = {"metadata": {"labels": meta["labels"]}, "spec": pod}
    if pod_annotations:
        template["metadata"]["annotations"] = pod_annotations
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": meta,
        "spec": {
            **({} if replicas is None else {"replicas": replicas}),
            "revisionHistoryLimit": 2,
            "selector": {"matchLabels": selector},
            "paused": False,  # if somebody paused it, the rollout would wait for ever
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": template,
        },
    }


def marked(manifest: Manifest) -> Manifest:
    """The manifest with its own hash as an annotation.

    So a live object differs from every other manifest, also from one that only lacks a field. Of an object
    that was created with a POST the API server cannot tell: its `managedFields` mix our fields with defaults.
    The number of replicas is not part of the hash. It is compared by its value, and left alone while an
    autoscaler sets it.
    """
    hashed = {**manifest, "spec": {**manifest.get("spec", {}), "replicas": None}}
    text = orjson.dumps(hashed, option=orjson.OPT_SORT_KEYS)
    digest = hashlib.sha256(text).hexdigest()[:12]
    meta = manifest["metadata"]
    annotations = {**meta.get("annotations", {}), names.ANNOTATION_MANIFEST_HASH: digest}
    return {**manifest, "metadata": {**meta, "annotations": annotations}}


def disruption_budgets(meta: Manifest, selector: dict[str, str], pods: int) -> tuple[Manifest, ...]:
    """One pod at a time may be evicted. Pods that are not ready never block the drain of a node.

    For a single pod this would allow what is allowed without it.
    """
    if pods <= 1:
        return ()
    budget: Manifest = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": meta,
        "spec": {
            "maxUnavailable": 1,
            "selector": {"matchLabels": selector},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }
    return (budget,)
