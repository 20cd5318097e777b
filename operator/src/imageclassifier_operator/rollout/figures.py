"""Figures: what the gateways counted of a version in a window of time. Pure.

Gateways count from the start of their process. A window is therefore the difference between two readings of
the same process. A process that started within the window counts from zero. A process that ended takes its
counts with it: the window becomes smaller, and the analysis has less evidence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from imageclassifier_operator.observe.types import Counters, GatewayReport, ShadowReport
from imageclassifier_operator.rollout.likelihoods import Counts

Baseline = Mapping[str, Any]


@dataclass(frozen=True)
class Window:
    """The figures of one version in a window, summed over all gateways."""

    requests: int = 0
    errors: int = 0
    buckets: Mapping[float, int] = field(default_factory=dict)
    """Upper bound in seconds -> requests that took at most that long."""

    @property
    def failures(self) -> Counts:
        """Requests and failed requests."""
        return Counts(self.requests, min(self.errors, self.requests))

    def slower_than(self, milliseconds: int) -> Counts:
        """How many requests took longer than the first bucket bound at or above this time."""
        total = self.buckets.get(float("inf"), 0)
        bounds = [bound for bound in self.buckets if bound >= milliseconds / 1000]
        return Counts(total, max(0, total - self.buckets[min(bounds)])) if bounds else Counts()

    def __add__(self, other: Window) -> Window:
        return self._combined(other, 1)

    def __sub__(self, other: Window) -> Window:
        """Without what `other` counted; at least nothing."""
        return self._combined(other, -1)

    def _combined(self, other: Window, sign: int) -> Window:
        return Window(
            max(0, self.requests + sign * other.requests),
            max(0, self.errors + sign * other.errors),
            {
                bound: max(0, self.buckets.get(bound, 0) + sign * other.buckets.get(bound, 0))
                for bound in {**self.buckets, **other.buckets}
            },
        )

    def to_json(self) -> dict[str, Any]:
        """The form in which the state stores a window."""
        return {
            "requests": self.requests,
            "errors": self.errors,
            "buckets": {f"{bound:g}": count for bound, count in self.buckets.items()},
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Window:
        """The inverse of `to_json`."""
        buckets = {float(bound): int(count) for bound, count in document["buckets"].items()}
        return cls(int(document["requests"]), int(document["errors"]), buckets)

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
