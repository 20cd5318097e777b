"""The work queue: which ImageClassifiers have to be looked at, and when.

A key is never worked on twice at once; what comes in while it is worked on makes it run once more
afterwards. A key that failed comes back later and later, with jitter; one may also be asked for at a later
time. Nothing is persistent: whatever is lost with the process is found again by listing.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

FIRST_BACKOFF_SECONDS = 0.5
MAX_BACKOFF_SECONDS = 60.0
_MAX_DOUBLINGS = 20  # beyond any limit; a key may fail for days, and a float ends at 2**1024


class Key(NamedTuple):
    """An ImageClassifier."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class RetrySoonError(Exception):
    """A key failed, and must not wait longer than `seconds` for its next try, however often it has failed."""

    def __init__(self, said: str, seconds: float) -> None:
        super().__init__(said)
        self.seconds = seconds


class WorkQueue:
    """Keys to reconcile. All methods are to be called from the event loop's thread."""

    def __init__(self) -> None:
        self._waiting: dict[Key, float] = {}  # key -> when it was added, in order of arrival
        self._running: set[Key] = set()
        self._again: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._something = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, key: Key) -> None:
        """Have `key` looked at as soon as possible."""
        self._forget_timer(key)
        if key in self._running:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting[key] = time.monotonic()
            self._something.set()

    def add_after(self, key: Key, seconds: float) -> None:
        """Have `key` looked at in `seconds`, or earlier when asked for earlier."""
        loop = asyncio.get_running_loop()
        timer = self._timers.get(key)
        due = loop.time() + seconds
        if timer is not None:
            if timer.when() <= due:
                return
            timer.cancel()
        self._timers[key] = loop.call_at(due, self.add, key)

    async def work(
        self, handle: Callable[[Key], Awaitable[float | None]], waited: Callable[[float], None]
    ) -> None:
        """Run one worker for ever.

        `handle` does one key and gives the seconds after which it wants to see it again, or None; when it
        raises, the key comes back by itself. `waited` is told how many seconds each key has stood in the
        queue.
        """
        while True:
            key, added = await self._next()
            waited(time.monotonic() - added)
            self._running.add(key)
            try:
                again_seconds = await handle(key)
            except Exception as error:
                failures = self._failures[key] = self._failures.get(key, 0) + 1
                most = error.seconds if isinstance(error, RetrySoonError) else MAX_BACKOFF_SECONDS
                delay = min(most, FIRST_BACKOFF_SECONDS * 2 ** min(failures - 1, _MAX_DOUBLINGS))
                self._finish(key, delay * random.uniform(0.75, 1.0))  # noqa: S311 - jitter is no secret
            else:
                self._failures.pop(key, None)
                self._finish(key, again_seconds)

    def _finish(self, key: Key, again_seconds: float | None) -> None:
        self._running.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)
        elif again_seconds is not None:
            self.add_after(key, again_seconds)

    async def _next(self) -> tuple[Key, float]:
        while not self._waiting:
            self._something.clear()
            await self._something.wait()
        key = next(iter(self._waiting))
        return key, self._waiting.pop(key)

    def _forget_timer(self, key: Key) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
