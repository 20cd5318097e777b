"""The analysis: errors and latency of a version in a window, compared with the serving version's.

Gateways count from the start of their process. A window is therefore the difference between two readings of
the same process. A process that started within the window counts from zero. A process that ended takes its
counts with it: the window becomes smaller, and the analysis waits for enough requests again.
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
    """The figures of one version in a window, summed over all gateways."""

    requests: int
    errors: int
    buckets: Mapping[float, int]

    @property
    def error_rate(self) -> float:
        """The share of failed requests; 0 without requests."""
        return self.errors / self.requests if self.requests else 0.0

    @property
    def p99_milliseconds(self) -> float | None:
        """The 99th percentile, interpolated within its bucket like Prometheus' histogram_quantile.

        Beyond the last bound it is that bound. None without requests.
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
    """A reading at the start of a window, in the form that the state stores."""
    return {
        report.start_id: {
            **{
                str(version): {
                    "requests": found.counters.requests,
                    "errors": found.counters.errors,
                    "buckets": dict(found.counters.buckets),
                }
                for version, found in report.versions.items()
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
    """The figures of `version` since the reading `since`."""
    requests = errors = 0
    buckets: dict[float, int] = {}
    for report in reports:
        found = report.versions.get(version)
        if found is None:
            continue
        before = _before(since, report.start_id, version)
        requests += max(0, found.counters.requests - before.requests)
        errors += max(0, found.counters.errors - before.errors)
        for bound, count in found.counters.buckets.items():
            buckets[float(bound)] = buckets.get(float(bound), 0) + max(
                0, count - before.buckets.get(bound, 0)
            )
    return Window(requests, errors, buckets)


def _before(since: Baseline, start_id: str, version: int) -> Counters:
    stored = (since.get(start_id) or {}).get(str(version)) or {}
    return Counters(stored.get("requests", 0), stored.get("errors", 0), stored.get("buckets", {}))


def shadow_window(version: int, since: Baseline, reports: Iterable[GatewayReport]) -> ShadowReport:
    """How often `version` agreed with the serving version since the reading `since`.

    `dropped`, `failed` and `confusion` count from the start of the gateways.
    """
    compared = agreed = dropped = failed = 0
    confusion: dict[tuple[str, str], int] = {}
    for report in reports:
        found = report.shadow
        if found is None or found.version != version:
            continue
        stored = (since.get(report.start_id) or {}).get("shadow") or {}
        before = stored if stored.get("version") == version else {}
        compared += max(0, found.compared - before.get("compared", 0))
        agreed += max(0, found.agreed - before.get("agreed", 0))
        dropped += found.dropped
        failed += found.failed
        for serving, candidate, count in found.confusion:
            confusion[serving, candidate] = confusion.get((serving, candidate), 0) + count
    most = sorted(
        ((s, c, n) for (s, c), n in confusion.items()), key=lambda cell: (-cell[2], cell[0], cell[1])
    )
    return ShadowReport(version, compared, agreed, dropped, failed, tuple(most))


def limit_violation(
    version: int, figures: Window, against: Window | None, limits: Limits, min_requests: int
) -> Problem | None:
    """The limit that `version` violates; None if it violates none, or had too few requests.

    `against`: the serving version in the same window. What is as bad there is not the version's fault.
    """
    if figures.requests < max(1, min_requests):
        return None
    compared = against if against is not None and against.requests >= max(1, min_requests) else None
    other_rate = compared.error_rate if compared else 0.0
    if figures.error_rate > other_rate + limits.error_rate:
        beside = f"; the serving version failed {other_rate:.1%}" if compared else ""
        return Problem(
            Reason.TOO_MANY_ERRORS,
            f"Version {version} failed {figures.errors} of {figures.requests} requests "
            f"({figures.error_rate:.1%}{beside}). "
            f"spec.rollout.limits.errorRate allows {limits.error_rate:.1%} more than the serving version.",
        )
    p99, limit = figures.p99_milliseconds, limits.p99_milliseconds
    if limit is not None and p99 is not None and p99 > limit:
        other_p99 = compared.p99_milliseconds if compared else None
        if other_p99 is None or p99 > other_p99:
            return Problem(
                Reason.TOO_SLOW,
                f"Version {version} has a 99th percentile latency of about {p99:.0f} ms over "
                f"{figures.requests} requests. spec.rollout.limits.p99Milliseconds allows {limit} ms.",
            )
    return None
