"""Makes other formats of a SavedModel, and compares each with it on the same images."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imageclassifier_gateway.pixels.images import prepare

from ...errors import ModelError
from ...exporting.saved_model import ServedModel
from ...judging.metrics import predicted_classes
from ...progress import Progress, no_progress
from ...words import counted
from . import images
from .candidate import Classify, Format, Source

#: The least share of the images for which a format must predict the same class. Else it is not published.
LEAST_AGREEMENT = 0.99
#: The folder of the formats, below that of the version. TensorFlow Serving leaves it alone.
FOLDER = "formats"
_TIMED_RUNS = 20


@dataclass(frozen=True)
class Compared:
    """A format that was published: its file, size and speed, and how it differs from the SavedModel.

    `agreement` is the share of the images that get the same class, and `largest_difference` that of any
    probability.
    """

    name: str
    note: str
    file: str
    size_bytes: int
    milliseconds: float
    images: int
    agreement: float
    largest_difference: float


def write(
    original: ServedModel, formats: Sequence[Format], files: Sequence[Path], progress: Progress = no_progress
) -> list[Compared]:
    """Write the formats of a SavedModel into the folder `formats` below its own.

    They are calibrated on the first of the training images in `files`, and compared on all of them and on the
    golden images. Raises ModelError when one predicts the same class for a smaller share of them than
    `LEAST_AGREEMENT`.
    """
    folder, wanted = original.folder, original.contract.input
    source = Source(folder, wanted, lambda: images.pixels(files[: images.MOST_FOR_CALIBRATION], wanted))
    compared = Images(original, files)
    (folder / FOLDER).mkdir()
    results = []
    progress("Convert and compare other formats", 0, len(formats))
    for done, each in enumerate(formats, start=1):
        model = each.convert(source)
        results.append(compare(each, model, compared))
        (folder / FOLDER / each.file).write_bytes(model)
        progress("Convert and compare other formats", done, len(formats))
    return results


class Images:
    """The golden images of a model and further files, and what the model predicts for them."""

    def __init__(self, original: ServedModel, files: Sequence[Path]) -> None:
        self._input = original.contract.input
        self._golden = [prepare(case.picture, self._input) for case in original.golden.cases]
        self._files = files
        self.threshold = original.contract.threshold
        self.expected = np.stack([original.probabilities(pixels[None])[0] for pixels in self.pixels()])

    def pixels(self) -> Iterator[NDArray[np.uint8]]:
        """The pixels of each image, uint8 `(height, width, 3)`; they are read again each time."""
        yield from self._golden
        yield from images.pixels(self._files, self._input)


def compare(each: Format, model: bytes, given: Images) -> Compared:
    """Compare a format with the SavedModel. Raises ModelError if too many images get another class."""
    classify = each.load(model)
    found = np.stack([classify(pixels) for pixels in given.pixels()])
    threshold = given.threshold
    same = predicted_classes(found, threshold) == predicted_classes(given.expected, threshold)
    agreement = float(same.mean())
    if not agreement >= LEAST_AGREEMENT:
        raise ModelError(
            f"The export was not published. The format {each.name} predicts the same class as the SavedModel "
            f"for only {100 * agreement:.1f} % of {counted(len(found), 'image')}, and at least "
            f"{100 * LEAST_AGREEMENT:.0f} % is required. Remove {each.name} from --formats."
        )
    return Compared(
        each.name,
        each.note,
        f"{FOLDER}/{each.file}",
        len(model),
        _milliseconds(classify, next(given.pixels())),
        len(found),
        agreement,
        float(np.abs(found - given.expected).max()),
    )


def _milliseconds(classify: Classify, pixels: NDArray[np.uint8]) -> float:
    durations = []
    for _ in range(_TIMED_RUNS):
        start = time.perf_counter()
        classify(pixels)
        durations.append(time.perf_counter() - start)
    return 1000 * float(np.median(durations))
