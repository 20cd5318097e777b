"""Times of API objects, and how long ago they were."""

from __future__ import annotations

import datetime


def seconds_since(timestamp: str | None, now: float) -> float | None:
    """The seconds since a timestamp of Kubernetes; None if there is none."""
    if not timestamp:
        return None
    return max(0.0, now - datetime.datetime.fromisoformat(timestamp).timestamp())


def duration(seconds: float | None) -> str:
    """A duration as kubectl shows ages.

    >>> duration(5), duration(119), duration(7200), duration(200_000), duration(None)
    ('5s', '119s', '120m', '2d', '?')
    """
    if seconds is None:
        return "?"
    for unit, size, most in (("s", 1, 120), ("m", 60, 10_800), ("h", 3600, 172_800)):
        if seconds < most:
            return f"{int(seconds // size)}{unit}"
    return f"{int(seconds // 86400)}d"
