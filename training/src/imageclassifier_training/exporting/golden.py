"""Draws the golden images of a model: small images that it carries with their expected probabilities.

A model server that loads the model must return the same probabilities. The images need not look like the
classes. Each has a smooth background with discs and rectangles. All are PNGs, which decode to the same pixels
on every machine.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from imageclassifier_gateway.contract import Golden, GoldenCase, ModelInput
from imageclassifier_gateway.pixels.images import prepare

#: CPUs and their kernels differ in the last bits of a sum. The tolerance is far above that.
TOLERANCE = 1e-3
_SIDE = 64
_PICTURES = 3
_SHAPES = 12


def make(wanted: ModelInput, run: Callable[[NDArray[np.uint8]], NDArray[np.float64]]) -> Golden:
    """Draw the images and compute their expected probabilities.

    `run` takes pixels, uint8 `(batch, height, width, 3)`, and returns probabilities `(batch, classes)`.
    """
    pngs = [_draw(seed) for seed in range(_PICTURES)]
    probabilities = run(np.stack([prepare(png, wanted) for png in pngs]))
    cases = tuple(
        GoldenCase(png, tuple(float(p) for p in row)) for png, row in zip(pngs, probabilities, strict=True)
    )
    return Golden(TOLERANCE, cases)


def _draw(seed: int) -> bytes:
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
