"""Draws where in a picture a prediction comes from: the class map of a model over the picture.

The picture becomes grey, so that its own colours cannot be taken for those of the map. Orange places speak
for the predicted class, blue ones against it: two colours that people with a colour vision deficiency can
tell apart.
"""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..contract import ModelInput
from .images import upright_size

MEDIA_TYPE = "image/png"
#: The longer side of a heat map (pixels). It limits what one costs, regardless of the input of the model.
MAX_SIDE = 512
#: Memory for each pixel of a heat map: three arrays of three float32, and the picture in several forms.
BYTES_PER_PIXEL = 64
_FOR = np.array([1.0, 0.55, 0.0], dtype=np.float32)
_AGAINST = np.array([0.0, 0.35, 1.0], dtype=np.float32)
#: How much of the picture the strongest places hide.
_STRONGEST = 0.7


def contrast(maps: NDArray[np.float32], chosen: int) -> NDArray[np.float32]:
    """What speaks for one class at each place, `(rows, columns)`, from maps `(rows, columns, classes)`.

    A softmax is the same when a constant is added to all logits. So a map means something only in comparison
    with those of the other classes: this is its difference to the mean of all.
    """
    return np.asarray(maps[..., chosen] - maps.mean(axis=-1), dtype=np.float32)


def size_of(stored: tuple[int, int], input_size: tuple[int, int], fit: str) -> tuple[int, int]:
    """The width and height of a heat map; `stored` is the size of the upright picture.

    A picture that was squashed to the input gets its aspect ratio back.

    >>> size_of((4000, 3000), (224, 224), "squash"), size_of((4000, 3000), (300, 300), "crop")
    ((224, 168), (300, 300))
    """
    width, height = stored if fit == "squash" else input_size
    scale = min(MAX_SIDE, max(input_size)) / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def size_for(picture: bytes, wanted: ModelInput) -> tuple[int, int]:
    """The width and height of the heat map of a picture file that was prepared for this input."""
    return size_of(upright_size(picture), (wanted.width, wanted.height), wanted.fit)


def draw(pixels: NDArray[np.uint8], evidence: NDArray[np.float32], size: tuple[int, int]) -> bytes:
    """The picture with the evidence of each place over it, as a PNG of this size (width, height).

    `pixels` is the input of the model, uint8 `(height, width, 3)`. Evidence above zero speaks for the class.
    """
    picture = Image.fromarray(pixels).convert("L").resize(size, Image.Resampling.BILINEAR)
    grey = np.asarray(picture, dtype=np.float32)[..., np.newaxis] / 255
    strength = Image.fromarray(evidence / max(float(np.abs(evidence).max()), 1e-12))
    values = np.asarray(strength.resize(size, Image.Resampling.BICUBIC))[..., np.newaxis].clip(-1, 1)
    alpha = _STRONGEST * np.abs(values)
    colour = np.where(values > 0, _FOR, _AGAINST)
    blended = grey * (1 - alpha) + colour * alpha
    buffer = io.BytesIO()
    Image.fromarray((255 * blended + 0.5).astype(np.uint8)).save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()


def data_url(png: bytes) -> str:
    """A heat map as a data URL, for a page or for JSON."""
    return f"data:{MEDIA_TYPE};base64,{base64.b64encode(png).decode()}"
