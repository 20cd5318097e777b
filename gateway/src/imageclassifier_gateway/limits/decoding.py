"""Decoding of pictures on a bounded number of cores, for all requests together and for the shadow."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from ..contract import ModelInput
from ..pixels import images
from ..problems import Problem
from ..stats import Stats
from .deadline import Deadline

Pixels = NDArray[np.uint8]

#: How often the shadow checks whether a core is free.
_IDLE_CHECK_SECONDS = 0.01


class Decoder:
    """Turns pictures into pixels. May be used by many threads at once.

    Each picture that is being decoded takes a core and memory, so at most `threads` are at any time.
    """

    def __init__(self, limits: images.Limits, threads: int, stats: Stats) -> None:
        self._limits = limits
        self._stats = stats
        self._cores = threading.BoundedSemaphore(threads)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="decode") if threads > 1 else None

    def prepare(
        self, pictures: Sequence[bytes], wanted: ModelInput, deadline: Deadline
    ) -> list[Pixels | images.PictureError]:
        """The pixels of each picture, or why it cannot be used. The pictures of one request use all cores.

        Raises Problem when the time is over before a core is free.
        """

        def one(data: bytes) -> Pixels | images.PictureError:
            return self._prepare_one(data, wanted, deadline)

        if self._pool is None or len(pictures) == 1:
            return [one(data) for data in pictures]
        return list(self._pool.map(one, pictures))

    def prepare_when_idle(self, data: bytes, wanted: ModelInput) -> Pixels:
        """The pixels of a picture of the shadow. Raises PictureError when it cannot be used."""
        # In the queue for a core the shadow would take as many turns as a user.
        while not self._cores.acquire(blocking=False):
            time.sleep(_IDLE_CHECK_SECONDS)
        try:
            return images.prepare(data, wanted, self._limits)
        finally:
            self._cores.release()

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _prepare_one(
        self, data: bytes, wanted: ModelInput, deadline: Deadline
    ) -> Pixels | images.PictureError:
        self._take_core(deadline)
        try:
            return images.prepare(data, wanted, self._limits)
        except images.PictureError as error:
            return error
        finally:
            self._cores.release()

    def _take_core(self, deadline: Deadline) -> None:
        remaining = deadline.remaining_seconds()
        if remaining > 0:
            if self._cores.acquire(blocking=False):
                return
            with self._stats.decodes_waiting.track_inprogress():
                if self._cores.acquire(timeout=remaining):
                    return
        raise Problem("timeout", "The gateway was too busy to decode the picture in time. Retry later.")
