"""What the operator sees of one ImageClassifier's world, as plain values: the input of `decide` and
`report`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from imageclassifier_operator.api import ServedVersion
from imageclassifier_operator.api.reasons import Reason


@dataclass(frozen=True)
class Problem:
    """Something that keeps pods from working. `fatal`: waiting will not mend it (a model that cannot be
    loaded).
    """

    reason: Reason
    message: str
    fatal: bool = False


@dataclass(frozen=True)
class VersionObserved:
    """One version's Deployment and pods.

    `complete`: the Deployment is as rendered, its controller has seen that, and every pod of it is available.
    `earlier_answer`: pods of this number with other inputs still answer, though they may be on their way out;
    a cluster's DNS may go on naming them for a while.
    """

    input_hash: str
    complete: bool
    ready_pods: int
    replicas: int = 0
    problem: Problem | None = None
    earlier_answer: bool = False


@dataclass(frozen=True)
class Counters:
    """Cumulative figures of one version in one gateway process. `buckets`: upper bound in seconds ->
    requests.
    """

    requests: int = 0
    errors: int = 0
    buckets: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class VersionReport:
    """What one gateway says of one version. `ready`: connected, and its contract is known."""

    ready: bool
    counters: Counters = Counters()
    error: str | None = None
    contract_digest: str | None = None


@dataclass(frozen=True)
class ShadowReport:
    version: int
    compared: int
    agreed: int
    dropped: int = 0
    failed: int = 0
    confusion: tuple[tuple[str, str, int], ...] = ()
    """(serving's class, candidate's class, count), where they differ."""


@dataclass(frozen=True)
class GatewayReport:
    """The answer of one gateway process to `GET /rollout`."""

    start_id: str
    revision: int
    versions: Mapping[int, VersionReport] = field(default_factory=dict)
    shadow: ShadowReport | None = None
    routing_error: str | None = None


@dataclass(frozen=True)
class GatewayObserved:
    """One gateway pod. `report` is None when it was not asked or could not be read: then it gives no
    verdict. `serving` is its last one on the serving version, whenever it was given.
    """

    pod: str
    ready: bool
    report: GatewayReport | None = None
    serving: VersionReport | None = None


@dataclass(frozen=True)
class Verdict:
    """How the verification of the candidate ended. `conclusive` False: it could not be carried out."""

    passed: bool
    reason: Reason
    message: str
    conclusive: bool = True
    version: int = 0
    details: Mapping[str, Any] = field(default_factory=dict)
    """The figures for `status.verification`, in its form."""


@dataclass(frozen=True)
class Observed:
    """All of it. `acknowledged_seconds`: for how long every ready gateway has been on `State.revision`,
    None if not.
    """

    versions: Mapping[int, VersionObserved] = field(default_factory=dict)
    gateways: tuple[GatewayObserved, ...] = ()
    gateways_complete: bool = False
    gateway_problem: Problem | None = None
    acknowledged_seconds: float | None = None
    unacknowledged: tuple[str, ...] = ()
    """The ready gateway pods that have not."""
    unusable_seconds: float = 0.0
    """For how long some ready gateway has not been able to use the candidate, although it has a share."""
    service_is_ours: bool = True
    """Whether the Service by which users reach the gateways is there and belongs to this ImageClassifier."""
    verdict: Verdict | None = None
    unverified: Problem | None = None
    """What keeps the verification of the version asked for from being carried out."""
    blocked: Problem | None = None
    """What kept the pass before from writing a child."""

    def ready_pods(self, version: int) -> int:
        observed = self.versions.get(version)
        return 0 if observed is None else observed.ready_pods

    def problem(self, version: int) -> Problem | None:
        """What is wrong with the pods that go by this number, whatever they are made from."""
        observed = self.versions.get(version)
        return None if observed is None else observed.problem

    def problem_of(self, served: ServedVersion) -> Problem | None:
        """What is wrong with the pods that are made from exactly this: what others of the same number did,
        which are still there, is not to be held against it.
        """
        return self.problem(served.version) if self.is_made_from(served) else None

    def is_made_from(self, served: ServedVersion) -> bool:
        """Whether there is a Deployment of this version with these inputs."""
        observed = self.versions.get(served.version)
        return observed is not None and observed.input_hash == served.input_hash

    @property
    def reports(self) -> tuple[GatewayReport, ...]:
        """The reports of all gateways that could be read."""
        return tuple(gateway.report for gateway in self.gateways if gateway.report is not None)

    @property
    def highest_revision(self) -> int:
        return max((report.revision for report in self.reports), default=0)

    @property
    def ready_gateways(self) -> tuple[GatewayObserved, ...]:
        return tuple(gateway for gateway in self.gateways if gateway.ready)
