"""The pictures and conditions of one request, and its outcome."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..contract import Decision, ModelInput
from ..limits.deadline import Deadline
from ..limits.decoding import Pixels
from ..pixels import images
from ..tracing import NO_SPAN, Metadata, Span
from . import batches


@dataclass(frozen=True)
class Classified:
    """The outcome of one request: its version, and for each picture a decision or the error."""

    model: str
    version: int
    outcomes: list[Decision | images.PictureError]


@dataclass(frozen=True)
class Explained:
    """Where the prediction for the picture of a request comes from.

    `pixels` is the input of the model, uint8 `(height, width, 3)`, prepared as `wanted` says. `maps` is the
    logit of each class at each place, float32 `(rows, columns, classes)`.
    """

    wanted: ModelInput
    pixels: Pixels
    maps: NDArray[np.float32]


@dataclass
class ClassifyRequest:
    """The pictures of one request, and the conditions for classifying them."""

    pictures: Sequence[bytes]
    deadline: Deadline
    #: Reserves this many bytes of memory, or raises Problem.
    hold: Callable[[int], None]
    #: Takes one of the places for requests with costly pictures, or raises Problem.
    admit_costly: Callable[[], None]
    #: Called when the first pictures are decoded, so that no place for costly ones is missing.
    decoded: Callable[[], None] = lambda: None
    #: The user's value that selects the version. If it is None, the version is random.
    sticky_value: str | None = None
    #: The version that the client names, if it names one.
    version: int | None = None
    metadata: Metadata = ()
    #: Whether the prediction for the only picture is to be explained, and the result.
    explain: bool = False
    explained: Explained | None = None
    #: The time in the stages `decode` and `model` so far, including failed attempts.
    seconds: dict[str, float] = field(default_factory=dict)
    #: The span of the request, below which `decode` and `model` are.
    span: Span = NO_SPAN
    #: The pixels of the last call with their input and the index of the first picture, for a retry on another
    #: version. Keeping the pixels of all calls would take too much memory.
    _prepared: tuple[ModelInput, int, list[Pixels | images.PictureError]] | None = None
    _held: set[ModelInput] = field(default_factory=set)

    def spend(self, stage: str, began: float) -> None:
        """Add the time since `began` to a stage."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.monotonic() - began

    def hold_once(self, wanted: ModelInput, pictures: int) -> None:
        """Reserve memory for the pixels of one call. Later calls of the request use the same memory."""
        if wanted not in self._held:
            self.hold(batches.memory_bytes(wanted, pictures))
            self._held.add(wanted)

    def prepared(self, wanted: ModelInput, first: int) -> list[Pixels | images.PictureError] | None:
        """The pixels from picture `first` on, if they are those of the last call; None otherwise."""
        if self._prepared is not None and self._prepared[:2] == (wanted, first):
            return self._prepared[2]
        return None

    def keep(self, wanted: ModelInput, first: int, pixels: list[Pixels | images.PictureError] | None) -> None:
        """Keep the pixels of the last call, or drop them."""
        self._prepared = None if pixels is None else (wanted, first, pixels)
