"""A line for calls of a model server: few are out at once, and the others wait in the order of their arrival.

A model server that gets many calls at once works on all of them, and TensorFlow's threads take the newest
first. With 32 calls at once on two cores, one in a hundred took 3.5 times as long as half of them.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class Line:
    """Lets `limit` calls out at once. Thread-safe."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._out = 0
        #: A locked lock for each call that waits. Releasing it lets the call out.
        self._waiting = deque[threading.Lock]()
        self._lock = threading.Lock()

    @property
    def waiting(self) -> int:
        """The number of calls that wait."""
        return len(self._waiting)

    def set_limit(self, limit: int) -> None:
        """Change the number of calls that are out at once."""
        with self._lock:
            self._limit = limit
            self._let_out()

    @contextmanager
    def turn(self, patience_seconds: float) -> Iterator[None]:
        """The turn of one call. It comes after `patience_seconds` at the latest.

        So calls to a pod that does not answer cannot hold up the calls to other pods for long.
        """
        self._wait(patience_seconds)
        try:
            yield
        finally:
            with self._lock:
                self._out -= 1
                self._let_out()

    def _wait(self, patience_seconds: float) -> None:
        with self._lock:
            if self._out < self._limit and not self._waiting:
                self._out += 1
                return
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        if turn.acquire(timeout=max(0.0, patience_seconds)):
            return
        with self._lock:
            if turn in self._waiting:  # otherwise it was let out in this moment
                self._waiting.remove(turn)
                self._out += 1

    def _let_out(self) -> None:
        while self._waiting and self._out < self._limit:
            self._out += 1
            self._waiting.popleft().release()
