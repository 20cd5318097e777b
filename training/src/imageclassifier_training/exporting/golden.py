"""Draws the golden images of a model: images that it carries with their expected pixels and probabilities.

A model server that loads the model must return the same probabilities. The images need not look like the
classes. Most are small PNGs: a smooth background with discs and rectangles, which decodes to the same pixels
on every machine. The last one is a JPEG that shows whether a gateway prepares photographs as training did.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from imageclassifier_gateway.contract import Golden, GoldenCase, ModelInput, pixels_digest
from imageclassifier_gateway.pixels.images import prepare

from . import golden_photograph

#: CPUs and their kernels differ in the last bits of a sum. The tolerance is far above that.
TOLERANCE = 1e-3
_SIDE = 64
_DRAWINGS = 3
_SHAPES = 12


def files(wanted: ModelInput) -> list[bytes]:
    """Draw the image files for a model with this input."""
    return [*(shapes(seed) for seed in range(_DRAWINGS)), golden_photograph.draw(wanted, seed=_DRAWINGS)]


def make(wanted: ModelInput, run: Callable[[NDArray[np.uint8]], NDArray[np.float64]]) -> Golden:
    """Draw the images and compute their expected probabilities.

    `run` takes pixels, uint8 `(batch, height, width, 3)`, and returns probabilities `(batch, classes)`.
    """
    drawn = files(wanted)
    pixels = np.stack([prepare(file, wanted) for file in drawn])
    cases = tuple(
        GoldenCase(file, tuple(float(p) for p in row), pixels_digest(prepared))
        for file, prepared, row in zip(drawn, pixels, run(pixels), strict=True)
    )
    return Golden(TOLERANCE, cases)


def shapes(seed: int) -> bytes:
    """Draw discs and rectangles on a smooth background, as a PNG."""
    random = np.random.default_rng(seed)
    corners = random.integers(0, 256, (2, 2, 3), dtype=np.uint8)
    picture = Image.fromarray(corners).resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(picture)
    for _ in range(_SHAPES):
        x, y = (int(v) for v in random.integers(0, _SIDE, 2))
        size = int(random.integers(4, _SIDE // 2))
        colour = tuple(int(v) for v in random.integers(0, 256, 3))
        shape = draw.ellipse if random.random() < 0.7 else draw.rectangle
        shape((x - size // 2, y - size // 2, x + size // 2, y + size // 2), fill=colour)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
