"""The gateways' latest reports on the serving version, and when to poll the gateways again.

A gateway that was ready once stays ready when it loses the version, so only its report shows that. The
operator polls the gateways when pods of gateways or model servers have become ready, again after the time
that a gateway needs to notice, and every few seconds while a gateway reports an error. At rest it polls none.
A gateway that does not answer keeps its last report. An error counts only when it persists: a broken
connection may work again at the next attempt.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import inf

from imageclassifier_operator.api.json import Json
from imageclassifier_operator.observe.types import GatewayReport, VersionReport

DETECTION_SECONDS = 5.0
"""A gateway checks each version every two seconds, and waits up to two more for the answer."""
FAILURE_SECONDS = 3.0
"""An error counts when it has lasted this long. While there is one, gateways are polled this often."""


@dataclass(frozen=True)
class LastReport:
    """The last report of one gateway on a version. `since`: when its readiness last changed."""

    version: int
    report: VersionReport
    since: float


@dataclass
class GatewayHealth:
    """The last report of each gateway of one ImageClassifier, by the uid of its pod."""

    last_reports: dict[str, LastReport] = field(default_factory=dict)
    polled_at: float | None = None
    _ready: frozenset[str] = frozenset()
    _ready_since: float = 0.0

    def observe_ready_pods(self, ready: Iterable[Json], now: float) -> None:
        """Record which pods, of the gateways and of the version's model servers, are ready now."""
        uids = frozenset(pod["metadata"]["uid"] for pod in ready)
        if uids != self._ready:
            self._ready, self._ready_since = uids, now

    def forget_other_pods(self, existing: set[str]) -> None:
        """Keep the reports of these pods only."""
        self.last_reports = {uid: last for uid, last in self.last_reports.items() if uid in existing}

    def record(self, version: int, reports: Mapping[str, GatewayReport], now: float) -> None:
        """Record the result of a poll. Gateways that did not answer are not in `reports`."""
        self.polled_at = now
        for uid, gateway in reports.items():
            report, before = gateway.versions.get(version), self.last_reports.get(uid)
            if report is None and gateway.routing_error is not None:
                report = VersionReport(ready=False, error=gateway.routing_error)
            if report is None:
                self.last_reports.pop(uid, None)
                continue
            if before is None or before.version != version:
                since = -inf  # a first report, as after a change of leaders, is not a change
            else:
                since = before.since if before.report.ready == report.ready else now
            self.last_reports[uid] = LastReport(version, report, since)

    def report_on(self, uid: str, version: int, now: float) -> VersionReport | None:
        """The report of one gateway on `version`; None without one, or while an error is too new to count."""
        last = self.last_reports.get(uid)
        if last is None or last.version != version:
            return None
        return last.report if last.report.ready or now - last.since >= FAILURE_SECONDS else None

    def poll_again_seconds(self, version: int, now: float) -> float | None:
        """Seconds until the gateways have to be polled; None while their reports hold."""
        if self.polled_at is None or self.polled_at < self._ready_since:
            return 0.0
        if any(not last.report.ready for last in self.last_reports.values() if last.version == version):
            return max(0.0, self.polled_at + FAILURE_SECONDS - now)
        detected = self._ready_since + DETECTION_SECONDS
        return max(0.0, detected - now) if self.polled_at < detected else None
