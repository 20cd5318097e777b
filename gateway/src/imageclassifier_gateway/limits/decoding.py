"""Decoding of pictures on a bounded number of cores, for all requests together and for the shadow.

Two lanes: small pictures never wait for large ones. A picture of 25 million pixels takes half a second, so a
few clients that send such pictures would otherwise make everybody else wait for seconds.
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

Pixels = NDArray[np.uint8]
Prepared = Pixels | images.PictureError
_Result = TypeVar("_Result")

#: What one picture of the light lane may cost: a JPEG of 3 megapixels, or a PNG of half a megapixel.
_LIGHT = images.Budget(seconds=0.025, decoded_bytes=16_000_000)
#: Reading the header of a picture costs about so much for each of its bytes. More is not known before.
_HEADER_SECONDS_PER_BYTE = 10e-9
#: The niceness of threads that decode costly pictures: on a busy core everything else goes first.
_NICENESS = 10
#: How often the shadow checks whether a core is free.
_IDLE_CHECK_SECONDS = 0.01


class Decoder:
    """Turns pictures into pixels. May be used by many threads at once.

    Each picture that is being decoded takes a core and memory: at most `threads` costly ones are decoded at
    any time, and as many light ones.
    """

    def __init__(self, limits: images.Limits, threads: int, stats: Stats) -> None:
        self._limits = limits
        self._light = Lane("decode", threads)
        self._costly = Lane("decode-costly", threads, _NICENESS)
        stats.decodes_waiting.set_function(lambda: self.waiting)

    @property
    def waiting(self) -> int:
        """Pictures that wait for their turn."""
        return self._light.waiting + self._costly.waiting

    def prepare(
        self,
        pictures: Sequence[bytes],
        wanted: ModelInput,
        deadline: Deadline,
        admit_costly: Callable[[], None],
    ) -> list[Prepared]:
        """The pixels of each picture, or why it cannot be used. The pictures of one request use all cores.

        `admit_costly` is called once if one of them is costly, before that one is decoded, and may raise.
        Raises Problem when the time is over before all are decoded, or as soon as it is clear that it will
        be.
        """
        jobs = [(partial(self._prepare_light, data, wanted), _header_seconds(data)) for data in pictures]
        prepared: list[Prepared] = []
        costly: dict[int, float] = {}
        for index, result in enumerate(self._run(self._light, jobs, deadline)):
            if isinstance(result, images.CostlyPicture):
                costly[index] = result.seconds
            else:
                prepared.append(result)
        if costly:
            admit_costly()
            self._check_time(costly.values(), deadline)
            more = [(partial(self._prepare, pictures[at], wanted), costly[at]) for at in costly]
            for index, pixels in zip(costly, self._run(self._costly, more, deadline), strict=True):
                prepared.insert(index, pixels)
        return prepared

    def prepare_when_idle(self, data: bytes, wanted: ModelInput) -> Pixels:
        """The pixels of a picture of the shadow. Raises PictureError when it cannot be used."""
        # In the queue for a core the shadow would take as many turns as a user.
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
        """The results of the jobs. Raises Problem when the time is over before all are done."""
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
        """Raises Problem when pictures that take so long would wait until their time is over."""
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
        try:
            return images.prepare(data, wanted, self._limits)
        except images.PictureError as error:
            return error.with_traceback(None)


def _header_seconds(data: bytes) -> float:
    return len(data) * _HEADER_SECONDS_PER_BYTE
