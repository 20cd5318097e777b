"""The pictures of one request on their way to a version, and the outcome."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ..contract import Decision, ModelInput
from ..limits.deadline import Deadline
from ..limits.decoding import Pixels
from ..pixels import images
from . import batches
from .batches import Metadata


@dataclass(frozen=True)
class Classified:
    """The outcome for one request: for each picture a decision or why it cannot be used, and who decided."""

    model: str
    version: int
    outcomes: list[Decision | images.PictureError]


@dataclass
class ClassifyRequest:
    """The pictures of one request, and under which conditions they are classified."""

    pictures: Sequence[bytes]
    deadline: Deadline
    #: Makes room for so many bytes, or raises Problem.
    hold: Callable[[int], None]
    #: Takes one of the places for requests with costly pictures, or raises Problem.
    admit_costly: Callable[[], None]
    #: The user's value that the version is chosen by; None: by chance.
    sticky_value: str | None = None
    #: The only version that may answer.
    version: int | None = None
    metadata: Metadata = ()
    #: What the stages `decode` and `model` have taken so far, also when it was for nothing.
    seconds: dict[str, float] = field(default_factory=dict)
    #: The pixels of the last call, by their input and the place of the first picture: another version may
    #: want the same. More would take memory for each picture of the request.
    _prepared: tuple[ModelInput, int, list[Pixels | images.PictureError]] | None = None
    _held: set[ModelInput] = field(default_factory=set)

    def spend(self, stage: str, began: float) -> None:
        """Adds the time since `began` to a stage."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.monotonic() - began

    def hold_once(self, wanted: ModelInput, pictures: int) -> None:
        """Makes room for the pixels of one call; the next call of the request uses the same room."""
        if wanted not in self._held:
            self.hold(pictures * batches.picture_bytes(wanted))
            self._held.add(wanted)

    def prepared(self, wanted: ModelInput, first: int) -> list[Pixels | images.PictureError] | None:
        """The pixels from picture `first` on, where they are those of the last call."""
        if self._prepared is not None and self._prepared[:2] == (wanted, first):
            return self._prepared[2]
        return None

    def keep(self, wanted: ModelInput, first: int, pixels: list[Pixels | images.PictureError] | None) -> None:
        """Keep the pixels of the last call, or drop them."""
        self._prepared = None if pixels is None else (wanted, first, pixels)
