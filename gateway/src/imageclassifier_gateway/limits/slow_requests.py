"""How many requests may wait for pictures from URLs at the same time.

Such a request keeps a thread and one of the places for requests, and may keep them for long. Half of the
places can be kept so; the others are for requests that have their pictures.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ..problems import Problem


class SlowRequests:
    """Counts the requests that fetch pictures from URLs, against a limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._fetching = 0
        self._lock = threading.Lock()

    @contextmanager
    def fetching(self) -> Iterator[None]:
        """A request that fetches pictures from URLs, for so long. Raises Problem when too many wait."""
        with self._lock:
            if self._fetching >= self._limit:
                raise Problem(
                    "overloaded", "The gateway already fetches too many pictures from URLs. Retry soon."
                )
            self._fetching += 1
        try:
            yield
        finally:
            with self._lock:
                self._fetching -= 1
