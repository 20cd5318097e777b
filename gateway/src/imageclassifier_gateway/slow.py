"""How many requests may wait for bytes from outside at the same time.

A body that is on its way and a picture behind a URL keep a thread and one of the places for requests, and may
keep them for long. Half of the places can be kept so. The others are for requests that are all there: however
many senders are slow, those are not refused.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from .problems import Problem


class SlowRequests:
    """Counts the requests that wait for bytes from outside, against one limit for all of them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._fetching = 0
        self._sending = 0
        self._lock = threading.Lock()

    @contextmanager
    def fetching(self) -> Iterator[None]:
        """A request that fetches pictures from URLs, for so long. Raises Problem when too many wait."""
        with self._lock:
            if self._fetching + self._sending >= self._limit:
                raise Problem(
                    "overloaded", "Too many pictures are being fetched from URLs already. Try again soon."
                )
            self._fetching += 1
        try:
            yield
        finally:
            with self._lock:
                self._fetching -= 1

    def admit_senders(self, slow: int) -> int:
        """How many of so many clients that are slow to send their requests may go on."""
        with self._lock:
            self._sending = min(slow, self._limit - self._fetching)
            return self._sending
