"""Pauses a long piece of work for others."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

#: The longest pause, in seconds: the kernel's period for CPU limits.
_LONGEST_SECONDS = 0.1
#: The seconds of pause for each second of work.
_FOR_EACH_SECOND = 2.0


class Pauses(threading.local):
    """Pauses of the threads that call this: the work of each takes a third of a core while others wait.

    A niceness is not enough. A thread that decodes runs on a core of its own, beside the threads with
    Python's lock. Together they use more than the CPU limit of the pod, and the kernel then stops all of
    them until its period of 100 ms ends.
    """

    def __init__(
        self,
        others_wait: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = time.thread_time,
    ) -> None:
        """`clock` measures the work, in seconds. `time.thread_time` sees only the calling thread."""
        self._others_wait = others_wait
        self._clock = clock
        self._resumed = clock()

    def begin(self) -> None:
        """Begin a new piece of work, so that the time since the last one does not count."""
        self._resumed = self._clock()

    def __call__(self) -> None:
        """Pause for twice as long as the work has taken since its last pause, if others wait."""
        resumed = self._resumed  # before the clock, as the first look in a thread sets it
        worked = self._clock() - resumed
        if self._others_wait():
            time.sleep(min(_FOR_EACH_SECOND * worked, _LONGEST_SECONDS))
        self._resumed = self._clock()
