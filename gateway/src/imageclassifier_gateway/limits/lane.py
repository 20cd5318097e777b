"""A queue of jobs of known length, and its threads: short jobs overtake long ones, and none starves."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import Future
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Any, TypeVar

_Result = TypeVar("_Result")

#: A job overtakes another that is one second longer if it arrives at most this many seconds after it. A flood
#: of long jobs then delays a short job by only one job, and a flood of short jobs cannot delay a long job for
#: ever.
_HEAD_START = 4.0
#: The weight of the last job in the measured pace (an exponential moving average).
_PACE_WEIGHT = 0.1


@dataclass(order=True)
class _Job:
    turn: float
    number: int
    seconds: float = field(compare=False)
    work: Callable[[], Any] = field(compare=False)
    future: Future[Any] = field(compare=False)


class Lane:
    """A queue of jobs and its threads. Thread-safe."""

    def __init__(
        self, name: str, threads: int, niceness: int = 0, after_each: Callable[[], None] = lambda: None
    ) -> None:
        """`after_each` is called on a thread after each of its jobs, when the result is available."""
        self._jobs: list[_Job] = []
        self._numbers = count()
        self._changed = threading.Condition()
        #: The estimates of the running jobs, in seconds.
        self._running: list[float] = []
        self._closed = False
        self._niceness = niceness
        self._after_each = after_each
        self._threads = threads
        #: The real duration of recent jobs, as a multiple of their estimates.
        self._pace = 1.0
        for number in range(threads):
            threading.Thread(target=self._work, name=f"{name}-{number}", daemon=True).start()

    @property
    def waiting(self) -> int:
        """The number of jobs that have not started."""
        return len(self._jobs)

    @property
    def is_idle(self) -> bool:
        """Whether a thread is free."""
        return len(self._jobs) + len(self._running) < self._threads

    def submit(self, work: Callable[[], _Result], seconds: float) -> Future[_Result]:
        """Queue a job that takes about `seconds`."""
        future: Future[_Result] = Future()
        with self._changed:
            turn = time.monotonic() + _HEAD_START * seconds
            heappush(self._jobs, _Job(turn, next(self._numbers), seconds, work, future))
            self._changed.notify()
        return future

    def submit_when_idle(self, work: Callable[[], _Result]) -> Future[_Result] | None:
        """Queue a job if a thread is free; return None otherwise."""
        with self._changed:
            if not self.is_idle:
                return None
            return self.submit(work, seconds=0.0)

    def wait_seconds(self, seconds: float) -> float:
        """The estimated seconds that a new job of this length would wait."""
        turn = time.monotonic() + _HEAD_START * seconds
        with self._changed:
            ahead = sum(self._running) + sum(job.seconds for job in self._jobs if job.turn <= turn)
            return self._pace * ahead / self._threads

    def cancel(self, futures: Collection[Future[Any]]) -> None:
        """Remove the jobs from the queue, and free what they hold. Running jobs continue."""
        with self._changed:
            self._jobs = [job for job in self._jobs if job.future not in futures]
            heapify(self._jobs)
        for future in futures:
            future.cancel()

    def close(self) -> None:
        """Cancel the queued jobs, and end each thread after its current job."""
        with self._changed:
            self._closed = True
            for job in self._jobs:
                job.future.cancel()
            self._jobs.clear()
            self._changed.notify_all()

    def _work(self) -> None:
        if self._niceness and hasattr(os, "setpriority"):
            # Linux has a niceness for each thread, and raising it needs no privilege.
            own = threading.get_native_id()
            # Lowering it would need one.
            niceness = max(self._niceness, os.getpriority(os.PRIO_PROCESS, own))
            os.setpriority(os.PRIO_PROCESS, own, niceness)
        while (job := self._next()) is not None:
            began, estimate = time.monotonic(), job.seconds
            try:
                job.future.set_result(job.work())
            except BaseException as error:
                job.future.set_exception(error)
            del job  # it holds a picture and its pixels, and the thread may wait long for the next job
            self._after_each()
            self._done(estimate, time.monotonic() - began)

    def _next(self) -> _Job | None:
        with self._changed:
            while not self._closed:
                while self._jobs:
                    job = heappop(self._jobs)
                    if job.future.set_running_or_notify_cancel():
                        self._running.append(job.seconds)
                        return job
                self._changed.wait()
            return None

    def _done(self, estimate: float, seconds: float) -> None:
        with self._changed:
            self._running.remove(estimate)
            if estimate > 0:
                self._pace += _PACE_WEIGHT * (seconds / estimate - self._pace)
