"""The state of a rollout: the serving version, the candidate, the failed versions, and since when. Pure.

A plain value with a JSON form. It is stored in the routing ConfigMap, beside the routing file that is made
from it, so it survives the loss of the status and of the operator. Times are seconds since the epoch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from imageclassifier_operator.api import ModelVersion, Sticky
from imageclassifier_operator.rollout.reference import Reference
from imageclassifier_operator.rollout.state_schemas import SCHEMA, upgraded

MAX_FAILED_VERSIONS = 10
MAX_HISTORY = 10


class Phase(StrEnum):
    """Where a rollout is.

    In `Pending`, `Stable` and `Stopped` nothing changes until the goal or the cluster does.
    """

    PENDING = "Pending"
    LOAD = "Load"
    VERIFY = "Verify"
    SHIFT = "Shift"
    SETTLE = "Settle"
    RETIRE = "Retire"
    STABLE = "Stable"
    STOPPED = "Stopped"


@dataclass(frozen=True)
class FailedVersion:
    """A version that failed. `attempt` is the hash of its inputs and rules, see `Goal.attempt`."""

    version: int
    attempt: str
    reason: str
    message: str
    time: float


@dataclass(frozen=True)
class HistoryEntry:
    """The end of one rollout. `reason`: why it failed; `model_digest`: the digest of the model's image."""

    version: int
    verdict: str
    time: float
    reason: str = ""
    model_digest: str = ""


@dataclass(frozen=True)
class State:
    """Everything that the operator must remember about the traffic of one ImageClassifier."""

    revision: int = 0
    phase: Phase = Phase.PENDING
    since: float = 0.0
    """When the phase, or its present step, began."""
    serving: ModelVersion | None = None
    candidate: ModelVersion | None = None
    attempt: str = ""
    """The attempt of the candidate; in Settle that of the serving version. See `Goal.attempt`."""
    previous: ModelVersion | None = None
    """The version that served before, kept warm during Settle."""
    fallback: int | None = None
    """The previous version, while it is ready and the new one is under analysis: it answers the requests that
    the new one fails to answer.
    """
    unavailable_since: float | None = None
    """Since when the version under analysis has had no ready pod, although it has traffic."""
    disrupted_at: float | None = None
    """When a node or a user last ended pods of the version that is rolled out."""
    min_replicas: int = 0
    """No version goes below this number of pods: the largest since two versions began to share traffic."""
    percent: int = 0
    """The candidate's share of the requests, 0..99."""
    shadow_percent: int = 0
    promoted: str = ""
    """The last value of the promote annotation that took effect."""
    promoted_token: str = ""
    """The last value of `spec.rollout.promoteToken` that took effect."""
    sticky: Sticky | None = None
    """The header or cookie by which gateways keep one client on one version."""
    clock_stopped_since: float | None = None
    """Since when the rollout's clock is stopped."""
    baseline: Mapping[str, Any] = field(default_factory=dict)
    """The gateways' counters at the start of the analysis window: start id -> version -> counters."""
    reference: Reference = field(default_factory=Reference)
    """The serving version's figures since the rollout began; in Settle those of the previous version."""
    failed: tuple[FailedVersion, ...] = ()
    earlier_attempts: bool = False
    """Whether an earlier release has hashed the attempts, in another way: see `with_present_attempts`."""
    history: tuple[HistoryEntry, ...] = ()
    """How the last rollouts ended, the newest first."""

    @property
    def kept(self) -> dict[int, ModelVersion]:
        """The versions whose pods must exist, by number."""
        return {v.version: v for v in (self.previous, self.candidate, self.serving) if v is not None}

    @property
    def under_analysis(self) -> ModelVersion | None:
        """The version under analysis: in Shift the candidate, in Settle the promoted version.

        None after a manual return to the previous version, which has served before.
        """
        if self.phase is Phase.SHIFT:
            return self.candidate
        return self.serving if self.phase is Phase.SETTLE and self.previous and self.attempt else None

    @property
    def keeps_replicas(self) -> bool:
        """Whether no version may lose pods: traffic is shared, or may go back to the previous version.

        In Retire too: an autoscaler that is not ours has not seen the load of all traffic yet.
        """
        return self.phase in (Phase.SHIFT, Phase.SETTLE, Phase.RETIRE)

    def until(self, now: float) -> State:
        """This state with no time after `now`: the clock of the last leader may have been ahead of ours."""
        times = (self.since, self.clock_stopped_since, self.unavailable_since)
        ahead = max(each for each in times if each is not None) - now
        if ahead <= 0:
            return self
        stopped, unavailable = (None if each is None else each - ahead for each in times[1:])
        since = self.since - ahead
        return dataclasses.replace(
            self, since=since, clock_stopped_since=stopped, unavailable_since=unavailable
        )

    def replicas(self, wanted: int) -> int:
        """The number of pods of each version when the spec, or an autoscaler, wants `wanted`."""
        return max(wanted, self.min_replicas)

    def has_failed(self, attempt: str) -> bool:
        """Whether a version failed under this attempt."""
        return any(failed.attempt == attempt for failed in self.failed)

    def with_failed(self, failed: FailedVersion) -> State:
        """This state with one more failed version. Beyond ten the oldest is dropped."""
        others = tuple(f for f in self.failed if f.attempt != failed.attempt)
        return dataclasses.replace(self, failed=(*others, failed)[-MAX_FAILED_VERSIONS:])

    def with_history(self, entry: HistoryEntry) -> State:
        """This state with one more entry in its history. Beyond ten the oldest is dropped."""
        return dataclasses.replace(self, history=(entry, *self.history)[:MAX_HISTORY])

    def to_json(self) -> dict[str, Any]:
        """A JSON form that `from_json` reads."""

        def served(version: ModelVersion | None) -> Any:
            return None if version is None else version.to_json()

        return {
            "schema": SCHEMA,
            "revision": self.revision,
            "phase": self.phase.value,
            "since": self.since,
            "serving": served(self.serving),
            "candidate": served(self.candidate),
            "attempt": self.attempt,
            "previous": served(self.previous),
            "fallback": self.fallback,
            "unavailableSince": self.unavailable_since,
            "disruptedAt": self.disrupted_at,
            "minReplicas": self.min_replicas,
            "percent": self.percent,
            "shadowPercent": self.shadow_percent,
            "promoted": self.promoted,
            "promotedToken": self.promoted_token,
            "sticky": None if self.sticky is None else {self.sticky.kind: self.sticky.name},
            "clockStoppedSince": self.clock_stopped_since,
            "baseline": self.baseline,
            "reference": self.reference.to_json(),
            "failed": [dataclasses.asdict(failed) for failed in self.failed],
            "earlierAttempts": self.earlier_attempts,
            "history": [dataclasses.asdict(entry) for entry in self.history],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> State:
        """The inverse of `to_json`, also of that of earlier releases.

        Raises ValueError, KeyError or TypeError for any other document.
        """
        document = upgraded(document)

        def served(value: Any) -> ModelVersion | None:
            return None if value is None else ModelVersion.from_json(value)

        return cls(
            revision=int(document["revision"]),
            phase=Phase(document["phase"]),
            since=float(document["since"]),
            serving=served(document["serving"]),
            candidate=served(document["candidate"]),
            attempt=str(document["attempt"]),
            previous=served(document["previous"]),
            fallback=document["fallback"],
            unavailable_since=document["unavailableSince"],
            disrupted_at=document.get("disruptedAt"),
            min_replicas=int(document.get("minReplicas", 0)),
            percent=int(document["percent"]),
            shadow_percent=int(document["shadowPercent"]),
            promoted=str(document["promoted"]),
            promoted_token=str(document.get("promotedToken", "")),
            sticky=None if document.get("sticky") is None else Sticky.parse(document["sticky"]),
            clock_stopped_since=document["clockStoppedSince"],
            baseline=dict(document["baseline"]),
            reference=Reference.from_json(document["reference"]),
            failed=tuple(FailedVersion(**failed) for failed in document["failed"]),
            earlier_attempts=bool(document.get("earlierAttempts", False)),
            history=tuple(HistoryEntry(**entry) for entry in document.get("history", ())),
        )
