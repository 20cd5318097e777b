"""Finds the images on which formats are calibrated and compared: those of the cross-validation."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imageclassifier_gateway.contract import ModelInput
from imageclassifier_gateway.pixels.images import prepare

from ...errors import TrainingError
from ...files import shown
from ...fitting.cross_validation_results import Kept
from ...pictures.dataset import LIMITS
from ...pictures.listing import files_below

#: More images change the agreement by less than half a point.
MOST = 1000
#: The ranges of activations hardly change with more images.
MOST_FOR_CALIBRATION = 200


def find(kept: Kept, folder: Path | None) -> list[Path]:
    """The files of the out-of-fold predictions, `MOST` of them at random, each with the content it had.

    They are looked for where they were at the training or, if `folder` is given, below it. Raises
    TrainingError when there is none.
    """
    digests = list(dict.fromkeys(kept.digests))
    order = np.random.default_rng(0).permutation(len(digests))
    places: Mapping[str, Path] = dict(zip(kept.digests, map(Path, kept.paths), strict=True))
    if folder is not None:
        places = _below(folder, frozenset(digests))
    found = []
    for index in order:
        path = places.get(digests[index])
        if path is not None and _digest(path) == digests[index]:
            found.append(path)
        if len(found) == MOST:
            break
    if not found:
        where = shown(folder) if folder else f"their places at the training, such as {shown(kept.paths[0])}"
        raise TrainingError(
            f"None of the training images ({len(digests):,}) was found in {where}. The formats are "
            "calibrated on them, and compared with the SavedModel. Give their folder with --pictures."
        )
    return found


def pixels(files: Sequence[Path], wanted: ModelInput) -> Iterator[NDArray[np.uint8]]:
    """Prepare the images as the gateway does."""
    for path in files:
        yield prepare(path.read_bytes(), wanted, LIMITS)


def _below(folder: Path, digests: frozenset[str]) -> Mapping[str, Path]:
    files, problems, _ = files_below(folder)
    if problems:
        raise TrainingError(" ".join(problems))
    return {digest: path for path in files if (digest := _digest(path)) in digests}


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
