"""Sends labelled pictures to the candidate and to the serving version, and counts correct predictions.

Memory is bounded: one picture is decoded at a time, and only a few prepared ones are queued. Each version
gets one picture at a time, so that users' requests to the serving version are hardly delayed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from ..contract import Decoding, ModelInput
from ..limits.decoding import Pixels
from ..pixels import images
from ..versions.model_server_errors import ModelServerError, ModelTimeoutError, ModelUnavailableError
from .calls import VersionCalls
from .dataset import LabelledPicture
from .dataset_comparison import Comparison
from .outcome import NotCarriedOutError, RejectedError
from .progress import Progress

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

#: The maximum number of prepared pictures in the queue.
_AHEAD = 4
_EXAMPLES = 3
_RAISE_TIMEOUT = " Raise spec.rollout.acceptance.dataset.timeoutSeconds, or use fewer pictures."


@dataclass(frozen=True)
class Prepared:
    """One picture as the input of each version."""

    candidate: Pixels
    serving: Pixels | None


@dataclass
class Evaluation:
    """One run over all pictures. `serving` becomes None if the serving version becomes unavailable."""

    pictures: Sequence[LabelledPicture]
    candidate: VersionCalls
    serving: VersionCalls | None
    comparison: Comparison
    limits: images.Limits
    max_unreadable_percent: int
    progress: Progress
    notes: list[str] = field(default_factory=list)
    _examples: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Fill the comparison. Raises NotCarriedOutError or RejectedError."""
        self.progress.total = len(self.pictures)
        with ThreadPoolExecutor(1, "decode") as decoder, ThreadPoolExecutor(2, "call") as callers:
            for picture, prepared in _ahead(decoder, self._prepare, self.pictures):
                if isinstance(prepared, Prepared):
                    self._classify(picture, prepared, callers)
                else:
                    self._count_unreadable(picture, prepared)
                self.progress.done += 1
        if self.progress.unreadable:
            self.notes.append(self._unreadable_sentence())

    def _prepare(self, picture: LabelledPicture) -> Prepared | Exception:
        """The picture as the input of each version, prepared as for requests, or the error."""
        try:
            data = picture.read(self.limits.max_bytes)
            wanted = self.candidate.contract.input
            pixels = images.prepare(data, wanted, self.limits)
            serving = self.serving
            if serving is None:
                return Prepared(pixels, None)
            if _form(serving.contract.input) == _form(wanted):
                return Prepared(pixels, pixels)
            return Prepared(pixels, images.prepare(data, serving.contract.input, self.limits))
        except (images.PictureError, OSError) as error:
            return error.with_traceback(None)

    def _classify(self, picture: LabelledPicture, prepared: Prepared, callers: ThreadPoolExecutor) -> None:
        asked = None
        if (
            self.serving is not None
            and prepared.serving is not None
            and picture.label in self.serving.contract.class_names
        ):
            asked = callers.submit(self.serving.label, prepared.serving)
        candidate = callers.submit(self.candidate.label, prepared.candidate)
        serving = None if asked is None else self._serving_label(asked)
        self.comparison.add(picture.label, self._candidate_label(picture, candidate), serving)

    def _candidate_label(self, picture: LabelledPicture, call: Future[str]) -> str:
        try:
            return call.result()
        except NotCarriedOutError as error:
            raise NotCarriedOutError(f"{error} {self._so_far()}{_RAISE_TIMEOUT}") from None
        except (ModelUnavailableError, ModelTimeoutError) as error:
            raise NotCarriedOutError(f"The candidate was lost: {error} {self._so_far()}") from None
        except ModelServerError as error:
            raise RejectedError(
                "ContractInvalid", f"The candidate failed on the labelled picture '{picture.name}': {error}"
            ) from None

    def _serving_label(self, call: Future[str]) -> str | None:
        """The serving version's label; empty if it fails on this picture, None if it is unavailable."""
        try:
            return call.result()
        except NotCarriedOutError as error:
            raise NotCarriedOutError(f"{error} {self._so_far()}{_RAISE_TIMEOUT}") from None
        except (ModelUnavailableError, ModelTimeoutError) as error:
            # A broken serving version must not block the version that fixes it.
            self.serving = None
            self.notes.append(f"The serving version was lost after {self.progress.done:,} pictures: {error}")
            return None
        except ModelServerError:
            return ""

    def _count_unreadable(self, picture: LabelledPicture, error: Exception) -> None:
        self.progress.unreadable += 1
        if len(self._examples) < _EXAMPLES:
            self._examples.append(f"'{picture.name}': {error}")
        if self.progress.unreadable * 100 > self.max_unreadable_percent * len(self.pictures):
            raise NotCarriedOutError(
                f"{self._unreadable_sentence()} At most {self.max_unreadable_percent} % may be unreadable "
                "(maxUnreadablePercent). Replace or remove these files."
            )

    def _unreadable_sentence(self) -> str:
        count, examples = self.progress.unreadable, "; ".join(self._examples)
        return f"{count:,} of {len(self.pictures):,} pictures cannot be read, such as {examples}"

    def _so_far(self) -> str:
        return f"{self.progress.done:,} of {len(self.pictures):,} pictures were done."


def _form(wanted: ModelInput) -> tuple[int, int, str, str, Decoding]:
    """The parts of a model's input that determine the pixels of a picture."""
    return wanted.height, wanted.width, wanted.resize, wanted.fit, wanted.decode


def _ahead(
    executor: ThreadPoolExecutor, work: Callable[[_Item], _Result], items: Iterable[_Item]
) -> Iterator[tuple[_Item, _Result]]:
    """Each item with the result of its work, in order. Up to _AHEAD items are processed in advance."""
    waiting: deque[tuple[_Item, Future[_Result]]] = deque()
    for item in items:
        waiting.append((item, executor.submit(work, item)))
        if len(waiting) > _AHEAD:
            first, future = waiting.popleft()
            yield first, future.result()
    for item, future in waiting:
        yield item, future.result()
