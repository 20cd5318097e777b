"""Pauses a long piece of work for others."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

#: The longest pause, in seconds: half of the kernel's period for CPU limits.
_LONGEST_SECONDS = 0.05
#: The seconds of pause for each second of work.
_FOR_EACH_SECOND = 2.0


class Pauses(threading.local):
    """Pauses of the threads that call this: the work of each takes a third of a core while others wait.

    A niceness is not enough. A thread that decodes runs on a core of its own, beside the threads with
    Python's lock. Together they use more than the CPU limit of the pod, and the kernel then stops all of
    them until its period of 100 ms ends.
    """

    def __init__(self, others_wait: Callable[[], bool] = lambda: True) -> None:
        self._others_wait = others_wait
        self._resumed = time.thread_time()

    def __call__(self) -> None:
        """Pause for twice as long as the thread has worked since its last pause, if others wait."""
        resumed = self._resumed  # before the clock, as the first look in a thread sets it
        worked = time.thread_time() - resumed
        if self._others_wait():
            time.sleep(min(_FOR_EACH_SECOND * worked, _LONGEST_SECONDS))
        self._resumed = time.thread_time()
