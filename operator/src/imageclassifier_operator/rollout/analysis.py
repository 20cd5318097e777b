"""Judging a version by the gateways' own figures, within a window of time.

Gateways count from their start on. So a window is the difference between two readings of the same process;
a process that the first reading does not know (it started within the window) counts from zero. One that has
gone takes its figures with it: the window only gets smaller, and judging waits for enough requests again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from imageclassifier_operator.api import Limits
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.types import Counters, GatewayReport, Problem, ShadowReport

Baseline = Mapping[str, Any]


@dataclass(frozen=True)
class Window:
    """One version's figures over a window, of all gateways together."""

    requests: int
    errors: int
    buckets: Mapping[float, int]

    @property
    def error_rate(self) -> float:
        return self.errors / self.requests if self.requests else 0.0

    @property
    def p99_milliseconds(self) -> float | None:
        """The 99th percentile, interpolated within its bucket as Prometheus' histogram_quantile does; beyond
        the last bound, that bound: it is no less. None without requests.
        """
        rank = 0.99 * self.buckets.get(float("inf"), 0)
        if rank == 0:
            return None
        below, counted = 0.0, 0
        for bound, count in sorted(self.buckets.items()):
            if count >= rank:
                share = 0.0 if bound == float("inf") else (rank - counted) / (count - counted)
                return 1000 * (below + (bound - below) * share if share else below)
            below, counted = bound, count
        return None


def baseline(reports: Iterable[GatewayReport]) -> dict[str, Any]:
    """A first reading, in the form in which it is stored in the state."""
    return {
        report.start_id: {
            **{
                str(version): {
                    "requests": said.counters.requests,
                    "errors": said.counters.errors,
                    "buckets": dict(said.counters.buckets),
                }
                for version, said in report.versions.items()
            },
            "shadow": None
            if report.shadow is None
            else {
                "version": report.shadow.version,
                "compared": report.shadow.compared,
                "agreed": report.shadow.agreed,
            },
        }
        for report in reports
    }


def window(version: int, since: Baseline, reports: Iterable[GatewayReport]) -> Window:
    """`version`'s figures from the reading `since` on."""
    requests = errors = 0
    buckets: dict[float, int] = {}
    for report in reports:
        said = report.versions.get(version)
        if said is None:
            continue
        before = _before(since, report.start_id, version)
        requests += max(0, said.counters.requests - before.requests)
        errors += max(0, said.counters.errors - before.errors)
        for bound, count in said.counters.buckets.items():
            buckets[float(bound)] = buckets.get(float(bound), 0) + max(
                0, count - before.buckets.get(bound, 0)
            )
    return Window(requests, errors, buckets)


def _before(since: Baseline, start_id: str, version: int) -> Counters:
    stored = (since.get(start_id) or {}).get(str(version)) or {}
    return Counters(stored.get("requests", 0), stored.get("errors", 0), stored.get("buckets", {}))


def shadow_window(version: int, since: Baseline, reports: Iterable[GatewayReport]) -> ShadowReport:
    """How often `version` agreed with the serving version from the reading `since` on.

    `dropped`, `failed` and `confusion` are since the gateways' start.
    """
    compared = agreed = dropped = failed = 0
    confusion: dict[tuple[str, str], int] = {}
    for report in reports:
        said = report.shadow
        if said is None or said.version != version:
            continue
        stored = (since.get(report.start_id) or {}).get("shadow") or {}
        before = stored if stored.get("version") == version else {}
        compared += max(0, said.compared - before.get("compared", 0))
        agreed += max(0, said.agreed - before.get("agreed", 0))
        dropped += said.dropped
        failed += said.failed
        for serving, candidate, count in said.confusion:
            confusion[serving, candidate] = confusion.get((serving, candidate), 0) + count
    most = sorted(
        ((s, c, n) for (s, c), n in confusion.items()), key=lambda cell: (-cell[2], cell[0], cell[1])
    )
    return ShadowReport(version, compared, agreed, dropped, failed, tuple(most))


def complaint(
    version: int, judged: Window, against: Window | None, limits: Limits, min_requests: int
) -> Problem | None:
    """Why `version` is not good enough, or None: it is, or there were too few requests to say.

    `against` is the serving version in the same window; a fault that it shares is not the version's own.
    """
    if judged.requests < max(1, min_requests):
        return None
    compared = against if against is not None and against.requests >= max(1, min_requests) else None
    others_rate = compared.error_rate if compared else 0.0
    if judged.error_rate > others_rate + limits.error_rate:
        beside = f", against {others_rate:.1%} of the serving version" if compared else ""
        return Problem(
            Reason.TOO_MANY_ERRORS,
            f"version {version} failed {judged.errors} of {judged.requests} requests "
            f"({judged.error_rate:.1%}{beside}); "
            f"spec.rollout.limits.errorRate allows {limits.error_rate:.1%} more",
        )
    p99, limit = judged.p99_milliseconds, limits.p99_milliseconds
    if limit is not None and p99 is not None and p99 > limit:
        others = compared.p99_milliseconds if compared else None
        if others is None or p99 > others:
            return Problem(
                Reason.TOO_SLOW,
                f"version {version} answered 99% of {judged.requests} requests within about {p99:.0f} ms "
                f"only; spec.rollout.limits.p99Milliseconds allows {limit} ms",
            )
    return None
