"""A model in another format, as the comparison sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imageclassifier_gateway.contract import ModelInput

Classify = Callable[[NDArray[np.uint8]], NDArray[np.float64]]
"""Maps the pixels of one image, `(height, width, 3)`, to its probabilities `(classes,)`, on one core."""


@dataclass(frozen=True)
class Source:
    """What a format is made from: the SavedModel, its input, and training images for calibration.

    `calibration` yields their pixels, uint8 `(height, width, 3)`.
    """

    saved_model: Path
    input: ModelInput
    calibration: Callable[[], Iterator[NDArray[np.uint8]]]


@dataclass(frozen=True)
class Format:
    """A format: its name, its file, how it is made, how it is loaded, and what a reader should know."""

    name: str
    file: str
    convert: Callable[[Source], bytes]
    load: Callable[[bytes], Classify]
    note: str
