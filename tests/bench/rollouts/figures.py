"""Figures from records of requests. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from load import Record


@dataclass(frozen=True)
class Latency:
    """Median and 99th percentile of the requests with a response, in milliseconds."""

    requests: int
    p50_ms: float
    p99_ms: float


def percentile(values: Sequence[float], percent: float) -> float:
    """The least value that at least `percent` of the values do not exceed (nearest rank).

    >>> percentile([4.0, 1.0, 3.0, 2.0], 50), percentile([4.0, 1.0, 3.0, 2.0], 99)
    (2.0, 4.0)
    """
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)] if ordered else float("nan")


def latency(records: Iterable[Record], begin: float, end: float) -> Latency:
    """The latency of requests that were due from `begin` until before `end` (seconds since the epoch)."""
    times = [1000 * r.seconds for r in records if begin <= r.due < end and not r.failed]
    return Latency(len(times), percentile(times, 50), percentile(times, 99))
