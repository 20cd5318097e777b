"""Threads that do jobs of known length: short ones overtake long ones, and nobody waits in vain."""

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

#: A job overtakes one that is a second longer if it arrives at most this many seconds later. So a flood of
#: long jobs delays a short one by one job, and a flood of short ones cannot hold up a long one for ever.
_HEAD_START = 4.0
#: How fast the measured pace follows the last jobs.
_PACE_WEIGHT = 0.1


@dataclass(order=True)
class _Job:
    turn: float
    number: int
    seconds: float = field(compare=False)
    work: Callable[[], Any] = field(compare=False)
    future: Future[Any] = field(compare=False)


class Lane:
    """A queue of jobs and its threads. May be used by many threads at once."""

    def __init__(self, name: str, threads: int, niceness: int = 0) -> None:
        self._jobs: list[_Job] = []
        self._numbers = count()
        self._changed = threading.Condition()
        #: The estimates of the jobs that are being done.
        self._running: list[float] = []
        self._closed = False
        self._niceness = niceness
        self._threads = threads
        #: How long jobs take, as a multiple of what was estimated.
        self._pace = 1.0
        for number in range(threads):
            threading.Thread(target=self._work, name=f"{name}-{number}", daemon=True).start()

    @property
    def waiting(self) -> int:
        """Jobs that have not begun."""
        return len(self._jobs)

    @property
    def is_idle(self) -> bool:
        """Whether a thread has nothing to do."""
        return len(self._jobs) + len(self._running) < self._threads

    def submit(self, work: Callable[[], _Result], seconds: float) -> Future[_Result]:
        """Queues a job that takes about so many seconds."""
        future: Future[_Result] = Future()
        with self._changed:
            turn = time.monotonic() + _HEAD_START * seconds
            heappush(self._jobs, _Job(turn, next(self._numbers), seconds, work, future))
            self._changed.notify()
        return future

    def submit_when_idle(self, work: Callable[[], _Result]) -> Future[_Result] | None:
        """Queues a job if a thread has nothing to do."""
        with self._changed:
            if not self.is_idle:
                return None
            return self.submit(work, seconds=0.0)

    def wait_seconds(self, seconds: float) -> float:
        """Seconds until the jobs that go before one of this length are done, by estimate."""
        turn = time.monotonic() + _HEAD_START * seconds
        with self._changed:
            ahead = sum(self._running) + sum(job.seconds for job in self._jobs if job.turn <= turn)
            return self._pace * ahead / self._threads

    def cancel(self, futures: Collection[Future[Any]]) -> None:
        """Takes the jobs out of the queue, with all that they hold. Those that have begun are finished."""
        with self._changed:
            self._jobs = [job for job in self._jobs if job.future not in futures]
            heapify(self._jobs)
        for future in futures:
            future.cancel()

    def close(self) -> None:
        """Ends the threads after the jobs they are at; the others are cancelled."""
        with self._changed:
            self._closed = True
            for job in self._jobs:
                job.future.cancel()
            self._jobs.clear()
            self._changed.notify_all()

    def _work(self) -> None:
        if self._niceness and hasattr(os, "setpriority"):
            # Linux schedules threads by their own niceness, and needs no right for raising it.
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), self._niceness)
        while (job := self._next()) is not None:
            began = time.monotonic()
            try:
                job.future.set_result(job.work())
            except BaseException as error:
                job.future.set_exception(error)
            finally:
                self._done(job, time.monotonic() - began)
            del job  # its picture and its pixels, while the thread waits for the next one

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

    def _done(self, job: _Job, seconds: float) -> None:
        with self._changed:
            self._running.remove(job.seconds)
            if job.seconds > 0:
                self._pace += _PACE_WEIGHT * (seconds / job.seconds - self._pace)
