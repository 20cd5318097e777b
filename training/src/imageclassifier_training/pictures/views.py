"""Augmented views of images: mirrored, cropped and recoloured, and always the same for the same image.

View 0 is the image as the gateway prepares it. View 1 is its mirror image. Each further view is a random crop
of 40 to 100 % of the area, with an aspect ratio changed by a factor of up to 1.28; half of them are mirrored,
and brightness, contrast and saturation are each scaled to 75 to 130 %. The random numbers depend only on the
number of the view and the content of the image. A view is therefore independent of the rest of the data set,
and can be cached.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from imageclassifier_gateway.contract import ModelInput
from imageclassifier_gateway.pixels.images import decode, fit, prepare

from .dataset import LIMITS, Picture

_AREA = (0.4, 1.0)
_LOG_ASPECT = 0.25
_COLOUR = (0.75, 1.3)


def draw(pictures: Sequence[Picture], wanted: ModelInput, view: int) -> Iterator[NDArray[np.uint8]]:
    """Yield this view of each image, uint8 `(height, width, 3)`. All cores draw ahead."""
    with ThreadPoolExecutor() as threads:
        yield from threads.map(lambda picture: _view(picture, wanted, view), pictures)


def _view(picture: Picture, wanted: ModelInput, view: int) -> NDArray[np.uint8]:
    data = picture.path.read_bytes()
    if view == 0:
        return prepare(data, wanted, LIMITS)
    if view == 1:
        return np.ascontiguousarray(prepare(data, wanted, LIMITS)[:, ::-1])
    random = np.random.default_rng([view, int(picture.digest[:16], 16)])
    # At twice the wanted size, a crop of a quarter of the area still has a pixel for each one wanted.
    whole = decode(data, replace(wanted, height=2 * wanted.height, width=2 * wanted.width), LIMITS)
    cropped = fit(_random_crop(whole, random), wanted)
    return np.array(_recoloured(cropped, random))


def _random_crop(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    area, aspect = random.uniform(*_AREA), math.exp(random.uniform(-_LOG_ASPECT, _LOG_ASPECT))
    width = max(1, round(picture.width * min(1.0, math.sqrt(area * aspect))))
    height = max(1, round(picture.height * min(1.0, math.sqrt(area / aspect))))
    left = int(random.integers(0, picture.width - width, endpoint=True))
    top = int(random.integers(0, picture.height - height, endpoint=True))
    cropped = picture.crop((left, top, left + width, top + height))
    return cropped.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if random.random() < 0.5 else cropped


def _recoloured(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        picture = enhance(picture).enhance(random.uniform(*_COLOUR))
    return picture
