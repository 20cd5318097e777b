"""Sends copies of requests to the shadow version, through a bounded queue that drops jobs when it is full."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..stats import Stats
from .fleet import Version
from .routing import Shadow, is_shadowed, random_bucket

#: Limits on the number of queued jobs, and on the memory that they hold together.
_MAX_WAITING = 64
_MAX_WAITING_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True)
class ShadowJob:
    """The pictures of one request, and the labels of the version that served it.

    A picture is either the bytes that the client sent or, if both versions have the same input, prepared
    pixels.
    """

    version: Version
    labels: tuple[str, ...]
    pictures: tuple[bytes | NDArray[np.uint8], ...]

    @property
    def size_bytes(self) -> int:
        """The bytes of memory that the pictures hold."""
        return sum(len(p) if isinstance(p, bytes) else p.nbytes for p in self.pictures)


#: Classifies the pictures of a job with its version, and returns the labels. Raises if it cannot.
Labeller = Callable[[ShadowJob], Sequence[str]]


class ShadowSender:
    """Sends jobs to the shadow version, one after the other, and counts how often it agrees."""

    def __init__(self, stats: Stats, labeller: Labeller) -> None:
        self._stats = stats
        self._labeller = labeller
        self._jobs: queue.Queue[ShadowJob | None] = queue.Queue(_MAX_WAITING)
        self._waiting_bytes = 0
        self._lock = threading.Lock()
        threading.Thread(target=self._work, name="shadow", daemon=True).start()

    def offer(self, shadow: Shadow, job: ShadowJob) -> None:
        """Queue a job for the shadow's share of requests; drop it if the queue is full. Never waits."""
        if not is_shadowed(shadow, random_bucket()):
            return
        with self._lock:
            fits = self._waiting_bytes + job.size_bytes <= _MAX_WAITING_BYTES
            if fits:
                try:
                    self._jobs.put_nowait(job)
                    self._waiting_bytes += job.size_bytes
                except queue.Full:
                    fits = False
        if not fits:
            self._stats.shadow_dropped(shadow.version, len(job.labels))

    def stop(self) -> None:
        """Stop after the current job."""
        self._jobs.put(None)

    def _work(self) -> None:
        if hasattr(os, "setpriority"):
            # Linux schedules threads by their own niceness: users' requests go first on a busy core.
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
        while (job := self._jobs.get()) is not None:
            try:
                labels = self._labeller(job)
            except Exception:  # no error of the candidate may end this thread
                self._stats.shadow_failed(job.version.number, len(job.labels))
            else:
                for serving, candidate in zip(job.labels, labels, strict=True):
                    self._stats.shadow_compared(job.version.number, serving, candidate)
            finally:
                with self._lock:
                    self._waiting_bytes -= job.size_bytes
