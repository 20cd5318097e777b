"""Hints about one ImageClassifier that this process keeps between reconciliations.

Losing them does no harm: a new leader starts without any and asks the gateways again.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from imageclassifier_operator.api import RolloutSettings
from imageclassifier_operator.api.json import Json
from imageclassifier_operator.observe.gateway_health import Finding, GatewayHealth, Probe
from imageclassifier_operator.observe.patience import Patience
from imageclassifier_operator.observe.types import Problem
from imageclassifier_operator.reconcile.annotation_retries import AnnotationRetries
from imageclassifier_operator.reconcile.verification_progress import ProgressPoller
from imageclassifier_operator.rollout.state import State

JITTER = (0.8, 1.0)
"""The share of the longest time between two probes of a healthy classifier."""


@dataclass
class UnfinishedVerification:
    """The verification `job` ended `tries` times without a verdict. `problem`: why it did the last time.

    `uid` is the Job that ended last, and `seen` is when this process saw that, by its own clock. The times in
    the Job are from the API server's clock, which may differ.
    """

    job: str
    problem: Problem
    uid: str
    seen: float
    tries: int = 0


@dataclass
class Memory:
    """The hints about one ImageClassifier. `uid` tells a new object from an old one of the same name."""

    uid: str
    started: float = 0.0
    """When this process reconciled the object for the first time."""
    state: State | None = None
    rules: RolloutSettings | None = None
    """The rules of the last valid spec."""
    gateway_health: GatewayHealth = field(default_factory=GatewayHealth)
    patience: Patience = field(default_factory=Patience)
    patience_ends: float | None = None
    """When the next problem has lasted long enough to be shown."""
    gateway_turn_ends: float | None = None
    """When the turn to update the gateways ends in any case."""
    shown_findings: frozenset[Finding] = frozenset()
    """What the probes had found when the last snapshot was taken."""
    acknowledged: dict[str, int] = field(default_factory=dict)
    """The uid of each gateway pod, and the routing revision that it last reported."""
    all_acknowledged: tuple[int, float] | None = None
    """The revision that every ready gateway has applied, and since when."""
    unusable: tuple[int, float] | None = None
    """The candidate that a ready gateway cannot use, and since when."""
    routing_written: tuple[int, float] | None = None
    """The newest revision that this process wrote, and when."""
    measured_revision: int = 0
    """The last revision whose time to acknowledgement is in the metrics."""
    annotation_retries: AnnotationRetries = field(default_factory=AnnotationRetries)
    posted_problem: Problem | None = None
    """The problem of the last Event."""
    admitted: set[tuple[str, str, str]] = field(default_factory=set)
    """Additions that stay, because admission adds them again: plural, name, JSON pointer."""
    checked: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    """Children that needed no write: plural and name, and the manifest and the resourceVersion compared."""
    rewritten: dict[tuple[str, str], tuple[str, Any]] = field(default_factory=dict)
    """What admission made of children: plural and name, the manifest, and the live values of its fields."""
    foreign_autoscaler: tuple[bool, float] | None = None
    """Whether an autoscaler of somebody else scales the gateway, and until when that counts."""
    blocked: Problem | None = None
    """Why the last reconciliation could not write a child."""
    failed: bool = False
    """True when the last reconciliation ended with an error of the API server."""
    pending_events: list[dict[str, Any]] = field(default_factory=list)
    """Events of transitions that are not posted yet."""
    unfinished_verification: UnfinishedVerification | None = None
    progress: ProgressPoller = field(default_factory=ProgressPoller)
    status_due: float | None = None
    """The latest time to write a status in which only figures changed."""

    def record_probe(self, probe: Probe) -> None:
        """Record what the gateways report: the routing revision of each, and its view of the version."""
        for uid, report in probe.reports.items():
            self.acknowledged[uid] = report.revision
        # Without jitter, classifiers that a new leader probes at once would be probed together for ever.
        self.gateway_health.record(probe, random.uniform(*JITTER))  # noqa: S311 - jitter is not a secret

    def forget_other_pods(self, pods: Iterable[Json]) -> None:
        """Keep the hints about these gateway pods, and drop those about all others."""
        existing = {pod["metadata"]["uid"] for pod in pods}
        self.acknowledged = {uid: value for uid, value in self.acknowledged.items() if uid in existing}
        self.annotation_retries.forget_other_pods(existing)
        self.gateway_health.forget_other_pods(existing)

    def acknowledged_seconds(self, revision: int, ready: Iterable[Json], now: float) -> float | None:
        """How long all `ready` gateway pods have been on `revision`. None if one is not, or none is ready."""
        uids = [pod["metadata"]["uid"] for pod in ready]
        if not uids or any(self.acknowledged.get(uid) != revision for uid in uids):
            self.all_acknowledged = None
            return None
        if self.all_acknowledged is None or self.all_acknowledged[0] != revision:
            self.all_acknowledged = (revision, now)
        return now - self.all_acknowledged[1]

    def unusable_seconds(self, candidate: int | None, now: float) -> float:
        """How long a gateway has not been able to use `candidate`. Pass None when all can use it."""
        if candidate is None:
            self.unusable = None
            return 0.0
        if self.unusable is None or self.unusable[0] != candidate:
            self.unusable = (candidate, now)
        return now - self.unusable[1]

    def needs_annotation(self, pod: Json, revision: int, now: float) -> bool:
        """Whether to annotate a gateway pod (again), so that its kubelet refreshes the routing file."""
        uid = pod["metadata"]["uid"]
        if self.acknowledged.get(uid) == revision:
            return False
        return self.annotation_retries.is_due(uid, revision, now)
