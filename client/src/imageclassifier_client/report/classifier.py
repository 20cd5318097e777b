"""The report on one ImageClassifier: its versions with traffic and pods, its gateways, and what failed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .evidence import evidence
from .pods import Pod, pod_of
from .times import seconds_since

Json = Mapping[str, Any]

SERVING, CANDIDATE, PREVIOUS, LEAVING = "serving", "candidate", "previous, kept warm", "being removed"


@dataclass(frozen=True)
class Version:
    """A version that has traffic or pods. `percent`: its share of the traffic."""

    number: int
    role: str
    percent: int
    pods: tuple[Pod, ...]
    evidence: tuple[str, ...]


@dataclass(frozen=True)
class Failure:
    """A version whose rollout failed."""

    version: int
    reason: str
    message: str
    age_seconds: float | None


@dataclass(frozen=True)
class HistoryEntry:
    """How a rollout ended. `message`: of the failure, if the status still has it."""

    version: int
    verdict: str
    time: str
    reason: str
    message: str
    digest: str


@dataclass(frozen=True)
class Condition:
    """A condition of the status. `status`: True, False or Unknown."""

    status: str = "Unknown"
    reason: str = ""
    message: str = ""


@dataclass(frozen=True)
class Report:
    """What people want to know of an ImageClassifier."""

    name: str
    namespace: str
    wanted: int
    phase: str
    serving: int | None
    candidate: int | None
    url: str
    is_observed: bool
    is_paused: bool
    is_stopped: bool
    pods: tuple[Pod, ...]
    """All pods, also those that have ended."""
    versions: tuple[Version, ...]
    gateways: tuple[Pod, ...]
    failures: tuple[Failure, ...]
    history: tuple[HistoryEntry, ...]
    conditions: Mapping[str, Condition]
    source: Mapping[str, Any]
    """spec.model.source."""
    outcome: str = ""
    """The outcome of the analysis."""
    pods_hidden: str = ""
    """Why its pods are not known, if they are not."""

    def condition(self, kind: str) -> Condition:
        """The condition of this type; Unknown if there is none."""
        return self.conditions.get(kind, Condition())

    @property
    def is_ready(self) -> bool:
        """Whether the version in the spec serves and is fully rolled out."""
        return self.is_observed and self.condition("Ready").status == "True"

    @property
    def failure(self) -> Failure | None:
        """Why the version in the spec failed, while nothing is rolled out and another version is wanted."""
        if self.candidate is not None or self.serving == self.wanted or self.is_ready:
            return None
        return next((each for each in reversed(self.failures) if each.version == self.wanted), None)


def report(body: Json, pods: Sequence[Json], now: float, pods_hidden: str = "") -> Report:
    """The report on an ImageClassifier and its pods, at the time `now`."""
    metadata, spec, status = body["metadata"], body["spec"], body.get("status") or {}
    rollout = spec.get("rollout") or {}
    listed = tuple(sorted((pod_of(each, now) for each in pods), key=lambda pod: (pod.component, pod.name)))
    seen = tuple(pod for pod in listed if not pod.has_ended)
    return Report(
        name=metadata["name"],
        namespace=metadata.get("namespace", ""),
        wanted=spec["model"]["version"],
        phase=status.get("phase", ""),
        serving=status.get("servingVersion"),
        candidate=status.get("candidateVersion"),
        url=status.get("url", ""),
        is_observed=status.get("observedGeneration") == metadata.get("generation"),
        is_paused=bool(rollout.get("paused")),
        is_stopped=bool(spec.get("stopped")),
        pods=listed,
        versions=tuple(_versions(status, seen)),
        gateways=tuple(pod for pod in seen if pod.component == "gateway"),
        failures=tuple(_failures(status, now)),
        history=tuple(_history(status)),
        conditions={
            each["type"]: Condition(each["status"], each["reason"], each["message"])
            for each in status.get("conditions") or ()
        },
        source=spec["model"].get("source") or {},
        outcome=(status.get("analysis") or {}).get("outcome", ""),
        pods_hidden=pods_hidden,
    )


def _versions(status: Json, pods: Sequence[Pod]) -> Iterator[Version]:
    shares = {each["version"]: each["percent"] for each in status.get("traffic") or ()}
    named = (status.get("servingVersion"), status.get("candidateVersion"))
    numbers = {*shares, *(pod.version for pod in pods), *named} - {None}
    for number in sorted(each for each in numbers if each is not None):
        yield Version(
            number=number,
            role=_role(status, number),
            percent=shares.get(number, 0),
            pods=tuple(pod for pod in pods if pod.version == number),
            evidence=evidence(status, number),
        )


def _role(status: Json, version: int) -> str:
    if version == status.get("servingVersion"):
        return SERVING
    if version == status.get("candidateVersion"):
        return CANDIDATE
    return PREVIOUS if status.get("phase") == "Settle" else LEAVING


def _failures(status: Json, now: float) -> Iterator[Failure]:
    for each in status.get("failedVersions") or ():
        age = seconds_since(each.get("time"), now)
        yield Failure(each["version"], each["reason"], each["message"], age)


def _history(status: Json) -> Iterator[HistoryEntry]:
    messages = {
        (each["version"], each["reason"], each["time"]): each["message"]
        for each in status.get("failedVersions") or ()
    }
    for each in status.get("history") or ():
        reason = each.get("reason", "")
        yield HistoryEntry(
            version=each["version"],
            verdict=each["verdict"],
            time=each["time"],
            reason=reason,
            message=messages.get((each["version"], reason, each["time"]), ""),
            digest=each.get("modelDigest", ""),
        )
