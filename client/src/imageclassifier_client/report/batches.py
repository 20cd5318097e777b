"""Batches: the Job that classifies many pictures, and how far the Jobs of a namespace are. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

CLASSIFIER_LABEL = "imageclassifier.dev/batch-of"
PICTURES_ANNOTATION = "imageclassifier.dev/batch-pictures"
RESULTS_ANNOTATION = "imageclassifier.dev/batch-results"

_PROGRAM = ["python", "-m", "imageclassifier_gateway.batch"]
_USER_ID = 65532
_KEPT_SECONDS = 7 * 24 * 3600
"""How long a finished Job stays, so that its last line can be read."""
_REFUSED_EXIT_CODE = 2
"""That of the program when a retry would not help."""


@dataclass(frozen=True)
class Place:
    """A claim and a path in it."""

    claim: str
    path: str

    def __str__(self) -> str:
        return f"{self.claim}/{self.path}" if self.path else self.claim


@dataclass(frozen=True)
class Bucket:
    """A URI of a bucket, and how it is reached. `ca`: name and key of a ConfigMap."""

    uri: str
    endpoint: str | None = None
    region: str | None = None
    ca: tuple[str, str] | None = None
    credentials_secret: str | None = None

    def __str__(self) -> str:
        return self.uri


@dataclass(frozen=True)
class Batch:
    """What the user wants. `api_key`: name and key of the Secret with the gateway's API key."""

    classifier: str
    pictures: Place | Bucket
    results: Place
    concurrency: int | None = None
    api_key: tuple[str, str] | None = None
    name: str | None = None
    service_account: str | None = None


@dataclass(frozen=True)
class GatewayFacts:
    """What the Job takes over from the gateway: its address and the pods of its Deployment."""

    url: str
    pod: Json
    tls_secret: str | None = None


def job(batch: Batch, gateway: GatewayFacts) -> Json:
    """The manifest of the Job."""
    container = gateway.pod["containers"][0]
    arguments = ["--gateway", gateway.url]
    mounts: list[Json] = []
    volumes: list[Json] = []
    _add_pictures(batch.pictures, arguments, mounts, volumes)
    arguments += ["--results", f"/results/{batch.results.path}"]
    _mount_claims(batch, mounts, volumes)
    if gateway.tls_secret is not None:
        arguments += ["--gateway-ca", "/etc/imageclassifier/gateway-ca/ca.crt"]
        items = [{"key": "ca.crt", "path": "ca.crt"}]
        # A certificate of a public authority has no ca.crt.
        secret = {"secretName": gateway.tls_secret, "items": items, "optional": True}
        _mount("gateway-ca", "/etc/imageclassifier/gateway-ca", {"secret": secret}, mounts, volumes)
    if batch.concurrency is not None:
        arguments += ["--concurrency", str(batch.concurrency)]
    program: Json = {
        "name": "batch",
        "image": container["image"],
        "command": _PROGRAM,
        "args": arguments,
        "env": _environment(batch),
        "resources": {
            "requests": {"cpu": "50m", "memory": "128Mi"},
            "limits": {"memory": "768Mi"},
        },
        "securityContext": container.get("securityContext"),
        "imagePullPolicy": container.get("imagePullPolicy"),
        "volumeMounts": mounts,
    }
    labels = {"app.kubernetes.io/name": "imageclassifier-batch", CLASSIFIER_LABEL: batch.classifier}
    annotations = {PICTURES_ANNOTATION: str(batch.pictures), RESULTS_ANNOTATION: str(batch.results)}
    name = {"generateName": f"{batch.classifier}-batch-"} if batch.name is None else {"name": batch.name}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {**name, "labels": labels, "annotations": annotations},
        "spec": {
            "backoffLimit": 6,  # each pod continues where the one before stopped
            "podFailurePolicy": _failure_policy(),
            "ttlSecondsAfterFinished": _KEPT_SECONDS,
            "template": {
                "metadata": {"labels": labels},
                "spec": _pod(batch, gateway, _without_nothing(program), volumes),
            },
        },
    }


def _pod(batch: Batch, gateway: GatewayFacts, program: Json, volumes: list[Json]) -> Json:
    """The spec of the pod. It runs where and as the gateway's pods do."""
    security = dict(gateway.pod.get("securityContext") or {})
    if security.get("runAsUser") == _USER_ID:
        security["fsGroup"] = _USER_ID  # so that a fresh volume can be written to
    taken_over = ("imagePullSecrets", "nodeSelector", "tolerations", "runtimeClassName")
    return _without_nothing(
        {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "serviceAccountName": batch.service_account,
            "securityContext": security,
            **{name: gateway.pod.get(name) for name in taken_over},
            "containers": [program],
            "volumes": volumes,
        }
    )


def _failure_policy() -> Json:
    refused = {"containerName": "batch", "operator": "In", "values": [_REFUSED_EXIT_CODE]}
    # A drained node is no failure of the batch.
    disrupted = {"type": "DisruptionTarget", "status": "True"}
    return {
        "rules": [
            {"action": "FailJob", "onExitCodes": refused},
            {"action": "Ignore", "onPodConditions": [disrupted]},
        ]
    }


def _add_pictures(
    pictures: Place | Bucket, arguments: list[str], mounts: list[Json], volumes: list[Json]
) -> None:
    if isinstance(pictures, Place):
        arguments += ["--pictures", f"/pictures/{pictures.path}".rstrip("/")]
        return
    arguments += ["--pictures", pictures.uri]
    for flag, value in (("--endpoint", pictures.endpoint), ("--region", pictures.region)):
        arguments += [] if value is None else [flag, value]
    if pictures.ca is not None:
        name, key = pictures.ca
        arguments += ["--ca-file", f"/etc/imageclassifier/bucket-ca/{key}"]
        volume = {"configMap": {"name": name}}
        _mount("bucket-ca", "/etc/imageclassifier/bucket-ca", volume, mounts, volumes)
    if pictures.credentials_secret is not None:
        arguments += ["--credentials", "/etc/imageclassifier/bucket"]
        volume = {"secret": {"secretName": pictures.credentials_secret}}
        _mount("bucket", "/etc/imageclassifier/bucket", volume, mounts, volumes)


def _mount_claims(batch: Batch, mounts: list[Json], volumes: list[Json]) -> None:
    """Mount the claims of the pictures and of the results.

    One claim is one volume, mounted twice. With two volumes of one claim the kubelet never starts the pod.
    """
    volumes.append(_claim("results", batch.results.claim))
    if isinstance(batch.pictures, Place):
        shared = batch.pictures.claim == batch.results.claim
        name = "results" if shared else "pictures"
        mounts.append({"name": name, "mountPath": "/pictures", "readOnly": True})
        if not shared:
            volumes.append(_claim(name, batch.pictures.claim))
    mounts.append({"name": "results", "mountPath": "/results"})


def _mount(name: str, path: str, volume: Json, mounts: list[Json], volumes: list[Json]) -> None:
    mounts.append({"name": name, "mountPath": path, "readOnly": True})
    volumes.append({"name": name, **volume})


def _claim(name: str, claim: str) -> Json:
    return {"name": name, "persistentVolumeClaim": {"claimName": claim}}


def _environment(batch: Batch) -> list[Json]:
    if batch.api_key is None:
        return []
    name, key = batch.api_key
    reference = {"secretKeyRef": {"name": name, "key": key}}
    return [{"name": "IMAGECLASSIFIER_API_KEY", "valueFrom": reference}]


def _without_nothing(fields: Json) -> Json:
    return {name: value for name, value in fields.items() if value not in (None, [], {})}


@dataclass(frozen=True)
class BatchReport:
    """One batch. `progress`: the last line of its program, or why that has not started."""

    name: str
    classifier: str
    state: str
    pictures: str
    results: str
    progress: str


def batch_report(body: Json, pod: Json | None, last_line: str) -> BatchReport:
    """The report about a Job, its newest pod, and the last line of that pod's log."""
    metadata = body["metadata"]
    annotations: Mapping[str, str] = metadata.get("annotations") or {}
    return BatchReport(
        metadata["name"],
        metadata["labels"][CLASSIFIER_LABEL],
        state(body),
        annotations.get(PICTURES_ANNOTATION, ""),
        annotations.get(RESULTS_ANNOTATION, ""),
        _ended(pod) or last_line or _unstarted(pod) or _condition_message(body),
    )


def state(body: Json) -> str:
    """Complete, Failed, Suspended or Running."""
    conditions = {each["type"] for each in _conditions(body) if each.get("status") == "True"}
    return next((kind for kind in ("Complete", "Failed", "Suspended") if kind in conditions), "Running")


def newest_pod(pods: list[Json], job_name: str) -> Json | None:
    """The pod of a Job that was created last."""
    own = [
        pod
        for pod in pods
        if (pod["metadata"].get("labels") or {}).get("batch.kubernetes.io/job-name") == job_name
    ]
    return max(own, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")), default=None)


def _conditions(body: Json) -> list[Json]:
    return list((body.get("status") or {}).get("conditions") or ())


def _condition_message(body: Json) -> str:
    return next((str(each["message"]) for each in _conditions(body) if each.get("message")), "")


def _container_state(pod: Json | None) -> Json:
    statuses = ((pod or {}).get("status") or {}).get("containerStatuses") or [{}]
    return dict(statuses[0].get("state") or {})


def _ended(pod: Json | None) -> str:
    return str((_container_state(pod).get("terminated") or {}).get("message") or "")


def _unstarted(pod: Json | None) -> str:
    """Why the program of a pod has not started."""
    waiting = _container_state(pod).get("waiting") or {}
    if waiting:
        return ": ".join(filter(None, (waiting.get("reason", ""), waiting.get("message", ""))))
    for condition in ((pod or {}).get("status") or {}).get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition.get("status") == "False":
            return str(condition.get("message") or condition.get("reason") or "")
    return ""
