"""Measures each image: size, aspect ratio, brightness, contrast, colour and sharpness."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imageclassifier_gateway.contract import ModelInput
from imageclassifier_gateway.pixels.images import FORMATS, decode, fit

from ..pictures.dataset import LIMITS, Picture
from ..pictures.near_duplicates import LUMA
from ..progress import Progress

#: Sharpness depends on the size at which it is measured, so all images are measured at the same one.
_SIDE = 256
_LUMA = np.array(LUMA)
#: EXIF orientations that swap width and height.
_SIDEWAYS = (5, 6, 7, 8)
_ORIENTATION = 0x0112


@dataclass(frozen=True)
class Measurements:
    """One value per image, in the order of the images.

    `width` and `height` are upright, in pixels. `brightness` is the mean luma (0 to 255), `contrast` its
    standard deviation. `colour` is the colourfulness of Hasler and Suesstrunk (2003): 0 is grey, above 80 is
    very colourful. `sharpness` is the standard deviation of the Laplacian at 256 x 256 pixels.
    """

    width: NDArray[np.int64]
    height: NDArray[np.int64]
    brightness: NDArray[np.float64]
    contrast: NDArray[np.float64]
    colour: NDArray[np.float64]
    sharpness: NDArray[np.float64]

    @property
    def aspect(self) -> NDArray[np.float64]:
        """Width divided by height."""
        return np.asarray(self.width / self.height)

    def named(self) -> dict[str, NDArray[np.float64]]:
        """The values that are compared, by name."""
        return {
            "width (pixels)": self.width.astype(float),
            "height (pixels)": self.height.astype(float),
            "aspect ratio": self.aspect,
            "brightness (0 to 255)": self.brightness,
            "contrast": self.contrast,
            "colourfulness": self.colour,
            "sharpness": self.sharpness,
        }


def measure(pictures: Sequence[Picture], progress: Progress) -> Measurements:
    """Measure all images."""
    rows = []
    progress("Measure the images", 0, len(pictures))
    with ThreadPoolExecutor() as threads:
        for row in threads.map(_measure, pictures):
            rows.append(row)
            progress("Measure the images", len(rows), len(pictures))
    columns = np.array(rows, dtype=np.float64).reshape(len(rows), 6).T
    return Measurements(columns[0].astype(np.int64), columns[1].astype(np.int64), *columns[2:])


def _measure(picture: Picture) -> tuple[float, ...]:
    data = picture.path.read_bytes()
    wanted = ModelInput(height=_SIDE, width=_SIDE)
    with Image.open(picture.path, formats=FORMATS) as header:
        width, height = header.size
        if header.getexif().get(_ORIENTATION) in _SIDEWAYS:
            width, height = height, width
    pixels = np.asarray(fit(decode(data, wanted, LIMITS), wanted), dtype=np.float64)
    luma = pixels @ _LUMA
    red, green, blue = (pixels[..., channel] for channel in range(3))
    red_green, yellow_blue = red - green, (red + green) / 2 - blue
    spread = np.hypot(red_green.std(), yellow_blue.std())
    mean = np.hypot(red_green.mean(), yellow_blue.mean())
    laplacian = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:] - 4 * luma[1:-1, 1:-1]
    return (width, height, luma.mean(), luma.std(), spread + 0.3 * mean, laplacian.std())
