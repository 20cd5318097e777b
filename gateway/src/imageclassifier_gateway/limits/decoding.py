"""Decodes the pictures of all requests, and of the shadow, on a bounded number of cores.

There are two lanes, so that small pictures never wait for large ones. A picture of 25 million pixels takes
half a second. With one lane, a few clients that send such pictures would delay all others by seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import TimeoutError as NotDoneError
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..contract import ModelInput
from ..pixels import images
from ..problems import Problem
from ..stats import Stats
from .deadline import Deadline
from .lane import Lane
from .pauses import Pauses

Pixels = NDArray[np.uint8]
Prepared = Pixels | images.PictureError
_Result = TypeVar("_Result")

#: The limit for the light lane: a JPEG of 3 megapixels, or a PNG of half a megapixel.
_LIGHT = images.Budget(seconds=0.025, decoded_bytes=16_000_000)
#: The estimated time to read a picture's header, for each byte of the file. The estimate orders the jobs of
#: the light lane, because only the size is known before the header is read.
_HEADER_SECONDS_PER_BYTE = 10e-9
#: The niceness of the threads that decode costly pictures: all other threads go first on a busy core.
_NICENESS = 10
#: For so long after a light picture, costly pictures are decoded with pauses.
_OTHERS_SECONDS = 0.5
#: How often the shadow checks whether a core is free.
_IDLE_CHECK_SECONDS = 0.01


class Decoder:
    """Turns pictures into pixels. Thread-safe.

    Each decoding takes a core and memory. So at most `threads` costly pictures and `threads` light ones are
    decoded at the same time.
    """

    def __init__(self, limits: images.Limits, threads: int, stats: Stats) -> None:
        self._limits = limits
        #: When the last light picture was decoded, in monotonic seconds.
        self._light_at = float("-inf")
        self._light = Lane("decode", threads)
        # libheif decodes in threads of its own, so the CPU time of ours says little.
        self._pauses = Pauses(self._others_wait, clock=time.monotonic)
        self._costly = Lane("decode-costly", threads, _NICENESS, after_each=self._pauses)
        stats.decodes_waiting.set_function(lambda: self.waiting)

    @property
    def waiting(self) -> int:
        """The number of pictures in the queues."""
        return self._light.waiting + self._costly.waiting

    def prepare(
        self,
        pictures: Sequence[bytes],
        wanted: ModelInput,
        deadline: Deadline,
        admit_costly: Callable[[], None],
    ) -> list[Prepared]:
        """The pixels of each picture, or the reason why it cannot be used, on all cores in parallel.

        If at least one picture is costly, `admit_costly` is called once before the costly ones are decoded;
        it may raise. Raises Problem when the deadline passes, or when it would pass before the end.
        """
        jobs = [(partial(self._prepare_light, data, wanted), _header_seconds(data)) for data in pictures]
        prepared: list[Prepared] = []
        costly: dict[int, float] = {}
        for index, result in enumerate(self._run(self._light, jobs, deadline)):
            if isinstance(result, images.CostlyPicture):
                costly[index] = result.seconds
            else:
                self._light_at = time.monotonic()
                prepared.append(result)
        if costly:
            admit_costly()
            self._check_time(costly.values(), deadline)
            more = [(partial(self._prepare, pictures[at], wanted), costly[at]) for at in costly]
            for index, pixels in zip(costly, self._run(self._costly, more, deadline), strict=True):
                prepared.insert(index, pixels)
        return prepared

    def prepare_when_idle(self, data: bytes, wanted: ModelInput) -> Pixels:
        """The pixels of a picture for the shadow, once a core is idle. Raises PictureError."""
        # Queued jobs of the shadow would delay users' jobs.
        work = partial(images.prepare, data, wanted, self._limits)
        while not self._light.is_idle or (future := self._costly.submit_when_idle(work)) is None:
            time.sleep(_IDLE_CHECK_SECONDS)
        return future.result()

    def close(self) -> None:
        """Stop the decoding threads."""
        self._light.close()
        self._costly.close()

    def _run(
        self, lane: Lane, jobs: Sequence[tuple[Callable[[], _Result], float]], deadline: Deadline
    ) -> list[_Result]:
        """The results of the jobs. Raises Problem when the deadline passes before all are done."""
        futures = [lane.submit(work, seconds) for work, seconds in jobs]
        try:
            return [future.result(deadline.remaining_seconds()) for future in futures]
        except NotDoneError:
            raise Problem(
                "timeout", "The gateway was too busy to decode the picture in time. Retry later."
            ) from None
        finally:
            lane.cancel([future for future in futures if not future.done()])

    def _check_time(self, seconds: Iterable[float], deadline: Deadline) -> None:
        """Raise Problem if jobs of this length would wait until after the deadline."""
        wait_seconds = self._costly.wait_seconds(max(seconds))
        if wait_seconds > deadline.remaining_seconds():
            raise Problem(
                "overloaded",
                f"Large pictures wait for about {wait_seconds:.0f} s to be decoded. Retry soon, or send "
                "smaller pictures: those do not wait.",
            )

    def _prepare_light(self, data: bytes, wanted: ModelInput) -> Prepared | images.CostlyPicture:
        try:
            return images.prepare(data, wanted, self._limits, _LIGHT)
        except (images.PictureError, images.CostlyPicture) as error:
            return error.with_traceback(None)

    def _prepare(self, data: bytes, wanted: ModelInput) -> Prepared:
        self._pauses.begin()
        try:
            return images.prepare(data, wanted, self._limits, pause=self._pauses)
        except images.PictureError as error:
            return error.with_traceback(None)

    def _others_wait(self) -> bool:
        """Whether light pictures wait, or one has come so recently that more are likely.

        Costly pictures alone are decoded without pauses: each would only wait for its own.
        """
        return self._light.waiting > 0 or time.monotonic() - self._light_at < _OTHERS_SECONDS


def _header_seconds(data: bytes) -> float:
    return len(data) * _HEADER_SECONDS_PER_BYTE
