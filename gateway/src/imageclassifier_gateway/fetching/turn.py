"""Lets one thread at a time work for fetches, so that other requests do not wait for many threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turn:
    """Held by the one thread that works for a fetch, as a context manager.

    Without it, all threads that fetch would compete for Python's global lock with the threads of uploads. A
    thread releases the turn while it waits for a server or for the resolver, so the waits run in parallel.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    @contextmanager
    def released(self) -> Iterator[None]:
        """Release the turn for a wait, and take it again afterwards."""
        self._lock.release()
        try:
            yield
        finally:
            self._lock.acquire()
