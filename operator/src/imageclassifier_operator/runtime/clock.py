"""The clock by which rollouts are timed: the time of day without its jumps.

A node's clock jumps when it is set, for example when the node gets its time at last. A rollout that is timed
by it would exceed its deadlines at once, or wait for hours.
"""

import time
from collections.abc import Callable

MAX_CORRECTION = 0.1
"""The share of the elapsed time by which the clock follows a jump: five minutes within fifty."""


def elapsed() -> float:
    """A monotonic clock that also runs while the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class SteadyClock:
    """Seconds since the epoch that only grow, at most ten percent faster or slower than real time."""

    def __init__(
        self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = elapsed
    ) -> None:
        self._wall, self._monotonic = wall, monotonic
        self._now, self._at = wall(), monotonic()

    def __call__(self) -> float:
        """The time now."""
        at = self._monotonic()
        passed, self._at = at - self._at, at
        behind = self._wall() - (self._now + passed)
        limit = MAX_CORRECTION * passed
        self._now += passed + max(-limit, min(limit, behind))
        return self._now
