"""The latest reports of one ImageClassifier's gateways on the serving version, and when to probe them again.

A gateway that was ready once stays ready when it loses the version, and DNS or a network policy can break
between pods that stay as they are. So gateways are probed every 30 seconds, also at rest, and sooner after a
change of their pods or while something is wrong. An error, or a probe without an answer, counts only when it
persists: a broken connection may work again at the next attempt.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from imageclassifier_operator.api.json import Json
from imageclassifier_operator.observe.gateway_intervals import (
    DETECTION_SECONDS,
    PROBE_SECONDS,
    RETRY_SECONDS,
)
from imageclassifier_operator.observe.types import AccessReport, GatewayReport, VersionReport

FAILURE_SECONDS = 3.0
"""An error counts when it has lasted this long."""
SILENCE_SECONDS = 15.0
"""A gateway whose probes have had no answer for this long is not observed any more."""

Finding = tuple[str, tuple[bool, str | None] | None, bool, AccessReport | None]
"""The uid of a gateway's pod, whether it is ready and its error if it has a report, whether it is silent, and
its report on access.
"""


@dataclass(frozen=True)
class LastReport:
    """The last report of one gateway on a version. `since`: when its readiness last changed."""

    version: int
    report: VersionReport
    since: float


@dataclass(frozen=True)
class Probe:
    """One probe of all gateways: which ready pods it asked, by uid, and the reports that came back."""

    version: int
    asked: frozenset[str]
    reports: Mapping[str, GatewayReport]
    now: float


@dataclass
class GatewayHealth:
    """The last report of each gateway of one ImageClassifier, by the uid of its pod."""

    last_reports: dict[str, LastReport] = field(default_factory=dict)
    access: dict[str, AccessReport] = field(default_factory=dict)
    silent_since: dict[str, float] = field(default_factory=dict)
    """The ready gateways that did not answer the last probe, and since when they have not."""
    next_probe_at: float = 0.0
    known_failure: bool = False
    """The status reports a failure of the gateways already, so that the first finding of one counts at once.
    Otherwise a change of leaders would hide the failure for a moment.
    """
    _answering: frozenset[str] = frozenset()

    def observe_pods(self, answering: Iterable[Json], now: float) -> None:
        """Record which pods, of the gateways and of the version's model servers, can answer now."""
        uids = frozenset(pod["metadata"]["uid"] for pod in answering)
        if uids != self._answering:
            self._answering = uids
            self.next_probe_at = min(self.next_probe_at, now + DETECTION_SECONDS)

    def forget_other_pods(self, existing: set[str]) -> None:
        """Keep what is known of these pods only."""
        self.last_reports = {uid: last for uid, last in self.last_reports.items() if uid in existing}
        self.access = {uid: report for uid, report in self.access.items() if uid in existing}
        self.silent_since = {uid: since for uid, since in self.silent_since.items() if uid in existing}

    def record(self, probe: Probe, jitter: float = 1.0) -> None:
        """Record the result of a probe. `jitter`: at most 1, shortens the time until the next one."""
        silent = probe.asked - probe.reports.keys()
        new = probe.now - SILENCE_SECONDS if self.known_failure else probe.now
        self.silent_since = {uid: self.silent_since.get(uid, new) for uid in silent}
        for uid, gateway in probe.reports.items():
            self._record(uid, gateway, probe)
        self.known_failure = False
        self.next_probe_at = probe.now + self._seconds_until_next_probe(probe.version, probe.now, jitter)

    def _record(self, uid: str, gateway: GatewayReport, probe: Probe) -> None:
        self.access[uid] = gateway.access
        report, before = gateway.versions.get(probe.version), self.last_reports.get(uid)
        if report is None and gateway.routing_error is not None:
            report = VersionReport(ready=False, error=gateway.routing_error)
        if report is None:
            self.last_reports.pop(uid, None)
            return
        since = probe.now - FAILURE_SECONDS if self.known_failure else probe.now
        if before is not None and (before.version, before.report.ready) == (probe.version, report.ready):
            since = before.since
        self.last_reports[uid] = LastReport(probe.version, report, since)

    def report_on(self, uid: str, version: int, now: float) -> VersionReport | None:
        """The report of one gateway on `version`; None without one, or while an error is too new to count."""
        last = self.last_reports.get(uid)
        if last is None or last.version != version:
            return None
        return last.report if last.report.ready or now - last.since >= FAILURE_SECONDS else None

    def is_silent(self, uid: str, now: float) -> bool:
        """Whether the gateway's probes have had no answer for so long that its last report says nothing."""
        return uid in self.silent_since and now - self.silent_since[uid] >= SILENCE_SECONDS

    def findings(self, version: int, now: float) -> frozenset[Finding]:
        """Everything that counts now, to be compared with what counted before."""
        return frozenset(
            (
                uid,
                None if report is None else (report.ready, report.error),
                self.is_silent(uid, now),
                self.access.get(uid),
            )
            for uid in self.last_reports.keys() | self.silent_since.keys() | self.access.keys()
            for report in (self.report_on(uid, version, now),)
        )

    def _seconds_until_next_probe(self, version: int, now: float, jitter: float) -> float:
        last_reports = self.last_reports.values()
        wrong_since = [
            each.since for each in last_reports if each.version == version and not each.report.ready
        ]
        wrong_since += self.silent_since.values()
        if not wrong_since:
            return PROBE_SECONDS * jitter
        return min(PROBE_SECONDS, max(RETRY_SECONDS, (now - max(wrong_since)) / 4))
