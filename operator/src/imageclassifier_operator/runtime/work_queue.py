"""The work queue: which ImageClassifiers must be reconciled, and when.

No key is processed twice at the same time. A key that is added while it is processed is processed once more
afterwards. A key that fails is retried with exponential back-off and jitter. A key can also be added with a
delay. The queue is not persistent: after a restart the first lists add every key again.

Keys of a higher urgency go first. After some of them one other key goes, so that no key waits for ever.
"""

import asyncio
import enum
import random
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

FIRST_BACKOFF_SECONDS = 0.5
MAX_BACKOFF_SECONDS = 60.0
IN_A_ROW = 4
"""The number of keys of one urgency that go in a row while a less urgent key waits."""
_MAX_DOUBLINGS = 20  # enough for any limit; a key may fail for days, and a float overflows at 2**1024


class Key(NamedTuple):
    """The namespace and name of an ImageClassifier."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Urgency(enum.IntEnum):
    """How soon a key must be processed, the most urgent first."""

    ANALYSIS = 0
    """A version under analysis has traffic, so that a bad one must be rolled back soon."""
    CHANGED = 1
    """Somebody waits: the spec is new, or a version is on its way."""
    AT_REST = 2
    """Nothing has changed, as with most objects that a new leader lists."""


class RetryAfterError(Exception):
    """A key failed, and it must not be retried before `retry_after_seconds`."""

    def __init__(self, message: str, retry_after_seconds: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class RetrySoonError(Exception):
    """A key failed, and its back-off must not exceed `seconds`."""

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


class WorkQueue:
    """Keys to reconcile. Call its methods only from the thread of the event loop."""

    def __init__(self) -> None:
        # for each urgency: key -> when it was added, in order of arrival
        self._waiting: dict[Urgency, dict[Key, float]] = {urgency: {} for urgency in Urgency}
        self._urgency_of: Callable[[Key], Urgency] = lambda _: Urgency.AT_REST
        self._in_a_row = dict.fromkeys(Urgency, 0)
        self._running: set[Key] = set()
        self._again: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._not_empty = asyncio.Event()

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def prefer(self, urgency_of: Callable[[Key], Urgency]) -> None:
        """Let more urgent keys go first, including those that already wait."""
        self._urgency_of = urgency_of
        waiting = sorted(
            ((key, added) for keys in self._waiting.values() for key, added in keys.items()),
            key=lambda item: item[1],
        )
        self._waiting = {urgency: {} for urgency in Urgency}
        for key, added in waiting:
            self._waiting[urgency_of(key)][key] = added

    def add(self, key: Key) -> None:
        """Add `key`, to be processed as soon as possible."""
        self._cancel_timer(key)
        if key in self._running:
            self._again.add(key)
            return
        before = next((urgency for urgency, keys in self._waiting.items() if key in keys), None)
        urgency = self._urgency_of(key)
        if before is None or urgency < before:
            added = time.monotonic() if before is None else self._waiting[before].pop(key)
            self._waiting[urgency][key] = added
            self._not_empty.set()

    def add_after(self, key: Key, seconds: float) -> None:
        """Add `key` in `seconds`. An earlier time that was set before stays."""
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
        """Run one worker until cancelled.

        `handle` processes one key. It returns the seconds after which to add the key again, or None. When it
        raises, the key is retried. `waited` is called with the seconds that each key spent in the queue.
        """
        while True:
            key, added = await self._next()
            waited(time.monotonic() - added)
            self._running.add(key)
            try:
                requeue_seconds = await handle(key)
            except Exception as error:
                failures = self._failures[key] = self._failures.get(key, 0) + 1
                most = error.seconds if isinstance(error, RetrySoonError) else MAX_BACKOFF_SECONDS
                delay = min(most, FIRST_BACKOFF_SECONDS * 2 ** min(failures - 1, _MAX_DOUBLINGS))
                delay *= random.uniform(0.75, 1.0)  # noqa: S311 - jitter is not a secret
                least = error.retry_after_seconds if isinstance(error, RetryAfterError) else 0.0
                self._finish(key, max(delay, least))
            else:
                self._failures.pop(key, None)
                self._finish(key, requeue_seconds)

    def _finish(self, key: Key, requeue_seconds: float | None) -> None:
        self._running.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)
        elif requeue_seconds is not None:
            self.add_after(key, requeue_seconds)

    async def _next(self) -> tuple[Key, float]:
        while not len(self):
            self._not_empty.clear()
            await self._not_empty.wait()
        urgency = self._next_urgency()
        key = next(iter(self._waiting[urgency]))
        return key, self._waiting[urgency].pop(key)

    def _next_urgency(self) -> Urgency:
        waiting = [urgency for urgency, keys in self._waiting.items() if keys]
        chosen = next((each for each in waiting if self._in_a_row[each] < IN_A_ROW), waiting[-1])
        for urgency in Urgency:
            if urgency < chosen:
                self._in_a_row[urgency] = 0
        self._in_a_row[chosen] = 0 if chosen == waiting[-1] else self._in_a_row[chosen] + 1
        return chosen

    def _cancel_timer(self, key: Key) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
