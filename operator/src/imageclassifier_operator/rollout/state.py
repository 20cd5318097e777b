"""The state of a rollout: what serves, what is on trial, what has failed, and since when.

A plain value with a JSON form. It lives in the routing ConfigMap, next to the routing file that is made
from it, and so survives the loss of status and of the operator. Times are seconds since the epoch; nothing
here reads a clock.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from imageclassifier_operator.api import ServedVersion, Sticky

SCHEMA = 1
MAX_FAILED_VERSIONS = 10


class Phase(StrEnum):
    """Where a rollout is. `Pending` and `Stable` are rest: nothing moves until something outside changes."""

    PENDING = "Pending"
    LOAD = "Load"
    VERIFY = "Verify"
    SHIFT = "Shift"
    SETTLE = "Settle"
    RETIRE = "Retire"
    STABLE = "Stable"


@dataclass(frozen=True)
class FailedVersion:
    """A version that was taken back. `attempt` hashes all it was made and judged from: see `Goal.attempt`."""

    version: int
    attempt: str
    reason: str
    message: str
    time: float


@dataclass(frozen=True)
class State:
    """What the operator knows about one ImageClassifier's traffic; the whole of it is in `to_json`."""

    revision: int = 0
    phase: Phase = Phase.PENDING
    since: float = 0.0
    """When the phase, or the present step of it, began."""
    serving: ServedVersion | None = None
    candidate: ServedVersion | None = None
    attempt: str = ""
    """The hash under which the candidate (in Settle: the serving version) is remembered when it fails."""
    previous: ServedVersion | None = None
    """The version before, kept warm during Settle."""
    fallback: int | None = None
    """The version before, while it is ready and the new one is on trial: it answers what that fails to
    answer.
    """
    gone_since: float | None = None
    """Since when the version on trial has had no ready pod, although it has traffic."""
    percent: int = 0
    """The candidate's share of the requests, 0..99."""
    shadow_percent: int = 0
    promoted: str = ""
    """The value of the promote annotation that was acted on last."""
    sticky: Sticky | None = None
    """What gateways are told to keep one caller on one version by."""
    stopped_since: float | None = None
    """Since when the rollout's clock stands still."""
    baseline: Mapping[str, Any] = field(default_factory=dict)
    """The gateways' counters when the present step began: start id -> version -> counters."""
    failed: tuple[FailedVersion, ...] = ()

    @property
    def kept(self) -> dict[int, ServedVersion]:
        """The versions whose pods have to be there, by number."""
        return {v.version: v for v in (self.previous, self.candidate, self.serving) if v is not None}

    @property
    def on_trial(self) -> ServedVersion | None:
        """The version that has traffic and is judged: in Settle the one that took over. None after going
        back to a version by hand: that has served before.
        """
        if self.phase is Phase.SHIFT:
            return self.candidate
        return self.serving if self.phase is Phase.SETTLE and self.previous and self.attempt else None

    @property
    def rolling(self) -> bool:
        """Whether a candidate is on its way."""
        return self.candidate is not None

    def has_failed(self, attempt: str) -> bool:
        return any(failed.attempt == attempt for failed in self.failed)

    def with_failed(self, failed: FailedVersion) -> State:
        """This state with one more failed version; the oldest is forgotten beyond ten."""
        others = tuple(f for f in self.failed if f.attempt != failed.attempt)
        return dataclasses.replace(self, failed=(*others, failed)[-MAX_FAILED_VERSIONS:])

    def to_json(self) -> dict[str, Any]:
        def served(version: ServedVersion | None) -> Any:
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
            "goneSince": self.gone_since,
            "percent": self.percent,
            "shadowPercent": self.shadow_percent,
            "promoted": self.promoted,
            "sticky": None if self.sticky is None else {self.sticky.kind: self.sticky.name},
            "pausedSince": self.stopped_since,
            "baseline": self.baseline,
            "failed": [dataclasses.asdict(failed) for failed in self.failed],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> State:
        """The state that `to_json` gave.

        Raises ValueError, KeyError or TypeError for anything else: the caller then rebuilds it from
        elsewhere.
        """
        if document["schema"] != SCHEMA:
            raise ValueError(
                f"the rollout state has schema {document['schema']}, this operator reads {SCHEMA}"
            )

        def served(value: Any) -> ServedVersion | None:
            return None if value is None else ServedVersion.from_json(value)

        return cls(
            revision=int(document["revision"]),
            phase=Phase(document["phase"]),
            since=float(document["since"]),
            serving=served(document["serving"]),
            candidate=served(document["candidate"]),
            attempt=str(document["attempt"]),
            previous=served(document["previous"]),
            fallback=document["fallback"],
            gone_since=document["goneSince"],
            percent=int(document["percent"]),
            shadow_percent=int(document["shadowPercent"]),
            promoted=str(document["promoted"]),
            sticky=None if document.get("sticky") is None else Sticky.parse(document["sticky"]),
            stopped_since=document["pausedSince"],
            baseline=dict(document["baseline"]),
            failed=tuple(FailedVersion(**failed) for failed in document["failed"]),
        )
