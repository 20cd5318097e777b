"""The snapshot of one ImageClassifier's world, as plain values: pods, gateways, verdicts, problems."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from imageclassifier_operator.api import ModelVersion
from imageclassifier_operator.api.reasons import Reason


@dataclass(frozen=True)
class Problem:
    """What is wrong, as a message for users. `fatal`: waiting does not help (a model that cannot load)."""

    reason: Reason
    message: str
    fatal: bool = False


@dataclass(frozen=True)
class VersionSnapshot:
    """The Deployment and the pods of one version.

    `complete`: the Deployment matches its manifest, its controller has seen that, and all pods are available.
    `outdated_pods_serve`: pods of this version number that were made from other inputs still answer, even if
    they are terminating. The cluster's DNS may return their addresses for a while.
    `unresponsive`: a pod was ready, and now runs but fails its readiness probe. `disrupted_at`: when a node
    or a user last ended a pod or container.
    """

    input_hash: str
    complete: bool
    ready_pods: int
    replicas: int = 0
    problem: Problem | None = None
    outdated_pods_serve: bool = False
    unresponsive: bool = False
    disrupted_at: float | None = None
    model_digest: str = ""
    """The digest of the image with the model, as a node pulled it; empty for a model from a volume."""
    alias_version: int | None = None
    """The number in the registry to which the alias in the source leads, as a pod has found out."""


@dataclass(frozen=True)
class Counters:
    """Cumulative counters of one version in one gateway. `buckets`: upper bound in seconds -> count."""

    requests: int = 0
    errors: int = 0
    buckets: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class VersionReport:
    """One gateway's report on one version. `ready`: it is connected, and it knows the version's contract."""

    ready: bool
    counters: Counters = Counters()
    error: str | None = None


@dataclass(frozen=True)
class ShadowReport:
    """How often the answers of a shadow version agreed with the serving version's."""

    version: int
    compared: int
    agreed: int
    dropped: int = 0
    failed: int = 0
    confusion: tuple[tuple[str, str, int], ...] = ()
    """(class of the serving version, class of the candidate, count) for each pair that differs."""


@dataclass(frozen=True)
class AccessReport:
    """How clients reach a gateway. `needs_key`: only with a key. `error`: what is wrong with the keys."""

    needs_key: bool = False
    error: str | None = None
    certificate_error: str | None = None


@dataclass(frozen=True)
class GatewayReport:
    """The response of one gateway process to `GET /rollout`."""

    start_id: str
    revision: int
    versions: Mapping[int, VersionReport] = field(default_factory=dict)
    shadow: ShadowReport | None = None
    routing_error: str | None = None
    access: AccessReport = AccessReport()


@dataclass(frozen=True)
class GatewaySnapshot:
    """One gateway pod.

    `report` is None when the gateway was not polled or did not answer. `serving` is its last report on the
    serving version. `silent`: it has not answered probes for so long that this report is too old.
    `wants_key`: its pod was made to need API keys. `access`: its last report on that; None without one.
    """

    pod: str
    ready: bool
    report: GatewayReport | None = None
    serving: VersionReport | None = None
    silent: bool = False
    wants_key: bool = False
    access: AccessReport | None = None

    @property
    def is_open(self) -> bool:
        """Whether everybody may use the gateway."""
        return not self.wants_key or self.ignores_keys

    @property
    def ignores_keys(self) -> bool:
        """Whether the gateway is open although it was made to need API keys: its image is too old."""
        return self.wants_key and self.access is not None and not self.access.needs_key


@dataclass(frozen=True)
class Verdict:
    """The result of a verification. `conclusive` is False when the verification could not be carried out."""

    passed: bool
    reason: Reason
    message: str
    conclusive: bool = True
    version: int = 0
    details: Mapping[str, Any] = field(default_factory=dict)
    """The figures, in the form of `status.verification`."""


@dataclass(frozen=True)
class VerificationProgress:
    """How many pictures of the data set a running verification has done."""

    total: int
    done: int
    unreadable: int = 0


@dataclass(frozen=True)
class Snapshot:
    """Everything that one reconciliation observes, taken once."""

    versions: Mapping[int, VersionSnapshot] = field(default_factory=dict)
    gateways: tuple[GatewaySnapshot, ...] = ()
    gateways_complete: bool = False
    gateway_problem: Problem | None = None
    acknowledged_seconds: float | None = None
    """How long all ready gateways have been on the state's revision; None while one is not."""
    unacknowledged: tuple[str, ...] = ()
    """The ready gateway pods that are not on the state's revision."""
    unusable_seconds: float = 0.0
    """How long a ready gateway has not been able to use the candidate, although the candidate has traffic."""
    observed_seconds: float = math.inf
    """How long this process has observed the ImageClassifier."""
    service_is_owned: bool = True
    """Whether the gateways' Service exists and belongs to this ImageClassifier."""
    verdict: Verdict | None = None
    verification_progress: VerificationProgress | None = None
    verification_problem: Problem | None = None
    """What keeps the wanted version's verification from a verdict."""
    verification_disrupted_at: float | None = None
    """When a node or a user last ended a pod of the wanted version's verification."""
    blocked: Problem | None = None
    """Why the last reconciliation could not write a child."""

    def ready_pods(self, version: int) -> int:
        """The number of ready pods with this version number."""
        found = self.versions.get(version)
        return 0 if found is None else found.ready_pods

    def problem(self, version: int) -> Problem | None:
        """The problem of the pods with this version number, whatever they were made from."""
        found = self.versions.get(version)
        return None if found is None else found.problem

    def problem_of(self, version: ModelVersion) -> Problem | None:
        """The problem of the pods that were made from exactly these inputs.

        Older pods of the same number, which may still exist, do not count against the version.
        """
        return self.problem(version.version) if self.is_deployed(version) else None

    def is_deployed(self, version: ModelVersion) -> bool:
        """Whether there is a Deployment of this version with exactly these inputs."""
        found = self.versions.get(version.version)
        return found is not None and found.input_hash == version.input_hash

    def disrupted_at(self, version: ModelVersion) -> float | None:
        """When a node or a user last ended a pod of exactly this version."""
        return self.versions[version.version].disrupted_at if self.is_deployed(version) else None

    @property
    def reports(self) -> tuple[GatewayReport, ...]:
        """The reports of all gateways that answered the poll."""
        return tuple(gateway.report for gateway in self.gateways if gateway.report is not None)

    @property
    def highest_revision(self) -> int:
        """The highest routing revision that a gateway reports."""
        return max((report.revision for report in self.reports), default=0)

    @property
    def ready_gateways(self) -> tuple[GatewaySnapshot, ...]:
        """The gateways whose pods are ready."""
        return tuple(gateway for gateway in self.gateways if gateway.ready)
