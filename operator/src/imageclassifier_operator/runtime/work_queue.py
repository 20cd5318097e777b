"""The work queue: which ImageClassifiers must be reconciled, and when.

No key is processed twice at the same time. A key that is added while it is processed is processed once more
afterwards. A key that fails is retried with exponential back-off and jitter. A key can also be added with a
delay. The queue is not persistent: after a restart the first lists add every key again.

Urgent keys go first. After some of them one other key goes, so that no key waits for ever.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

FIRST_BACKOFF_SECONDS = 0.5
MAX_BACKOFF_SECONDS = 60.0
URGENT_IN_A_ROW = 4
"""The number of urgent keys that go first in a row while another key waits."""
_MAX_DOUBLINGS = 20  # enough for any limit; a key may fail for days, and a float overflows at 2**1024


class Key(NamedTuple):
    """The namespace and name of an ImageClassifier."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


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
        # key -> when it was added, in order of arrival
        self._waiting: dict[Key, float] = {}
        self._urgent: dict[Key, float] = {}
        self._is_urgent: Callable[[Key], bool] = lambda _: False
        self._urgent_in_a_row = 0
        self._running: set[Key] = set()
        self._again: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._not_empty = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting) + len(self._urgent)

    def prefer(self, is_urgent: Callable[[Key], bool]) -> None:
        """Let urgent keys go first, including those that already wait."""
        self._is_urgent = is_urgent
        waiting = sorted({**self._waiting, **self._urgent}.items(), key=lambda item: item[1])
        self._urgent = {key: added for key, added in waiting if is_urgent(key)}
        self._waiting = {key: added for key, added in waiting if key not in self._urgent}

    def add(self, key: Key) -> None:
        """Add `key`, to be processed as soon as possible."""
        self._cancel_timer(key)
        if key in self._running:
            self._again.add(key)
        elif self._is_urgent(key):
            self._urgent.setdefault(key, self._waiting.pop(key, time.monotonic()))
            self._not_empty.set()
        elif key not in self._urgent:
            self._waiting.setdefault(key, time.monotonic())
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
        is_their_turn = self._urgent_in_a_row < URGENT_IN_A_ROW or not self._waiting
        if self._urgent and is_their_turn:
            keys, self._urgent_in_a_row = self._urgent, self._urgent_in_a_row + 1
        else:
            keys, self._urgent_in_a_row = self._waiting, 0
        key = next(iter(keys))
        return key, keys.pop(key)

    def _cancel_timer(self, key: Key) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
