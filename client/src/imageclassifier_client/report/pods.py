"""One pod: whether it is ready, and the word that kubectl shows for its state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .times import seconds_since

Json = Mapping[str, Any]

LABEL_COMPONENT = "app.kubernetes.io/component"
LABEL_VERSION = "imageclassifier.dev/version"


@dataclass(frozen=True)
class Pod:
    """A pod. `component`: serving, gateway or verify; `version`: None for a gateway."""

    name: str
    component: str
    version: int | None
    state: str
    is_ready: bool
    restarts: int
    age_seconds: float | None
    node: str
    containers: tuple[str, ...]
    """The containers in the order in which they start, those that initialize the pod first."""

    @property
    def has_ended(self) -> bool:
        """Whether the pod ended as it should."""
        return self.state == "Completed"


def pod_of(body: Json, now: float) -> Pod:
    """The pod of an API object."""
    metadata, spec, status = body["metadata"], body.get("spec") or {}, body.get("status") or {}
    labels = metadata.get("labels") or {}
    version = labels.get(LABEL_VERSION, "")
    conditions = {each["type"]: each["status"] for each in status.get("conditions") or ()}
    return Pod(
        name=metadata["name"],
        component=labels.get(LABEL_COMPONENT, ""),
        version=int(version) if version.isdecimal() else None,
        state=_state(metadata, status),
        is_ready=conditions.get("Ready") == "True",
        restarts=sum(each.get("restartCount", 0) for each in _containers(status)),
        age_seconds=seconds_since(metadata.get("creationTimestamp"), now),
        node=spec.get("nodeName", ""),
        containers=tuple(
            each["name"] for kind in ("initContainers", "containers") for each in spec.get(kind) or ()
        ),
    )


def _containers(status: Json) -> Iterator[Json]:
    yield from status.get("initContainerStatuses") or ()
    yield from status.get("containerStatuses") or ()


def _state(metadata: Json, status: Json) -> str:
    """The first reason that a container gives, or the phase; as in `kubectl get pods`."""
    phase = str(status.get("reason") or status.get("phase") or "Unknown")
    if metadata.get("deletionTimestamp"):
        return "Terminating"
    for prefix, containers in (
        ("Init:", status.get("initContainerStatuses") or ()),
        ("", status.get("containerStatuses") or ()),
    ):
        for container in containers:
            if reason := _reason(container.get("state") or {}, is_init=bool(prefix)):
                return f"{prefix}{reason}"
    if phase == "Pending" and any(
        each.get("reason") == "Unschedulable" for each in status.get("conditions") or ()
    ):
        return "Unschedulable"
    return {"Succeeded": "Completed", "Failed": "Error"}.get(phase, phase)


def _reason(state: Json, *, is_init: bool) -> str:
    """Why a container does not run; empty if it runs, or has ended as it should."""
    waiting, ended = state.get("waiting"), state.get("terminated")
    if waiting is not None:
        reason = str(waiting.get("reason") or "")
        return "" if reason in ("PodInitializing", "ContainerCreating") else reason
    if ended is not None and (ended.get("exitCode") != 0 or not is_init):
        return str(ended.get("reason") or f"ExitCode:{ended.get('exitCode')}")
    if is_init and state.get("running") is not None:
        return "Running"
    return ""
