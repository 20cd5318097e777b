"""Converts the pixels of pictures to the values of a model's input tensor."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..contract import ModelInput

#: numpy has no bfloat16. Its bits are the upper half of those of a float32.
BFLOAT16 = np.dtype([("bfloat16", "<u2")])
#: The weights of ITU-R 601-2 in whole numbers, as in Pillow's conversion from RGB to L (Convert.c).
LUMA = (19595, 38470, 7471)


def tensor_values(pixels: NDArray[np.uint8], wanted: ModelInput) -> NDArray[Any]:
    """The tensor for RGB pixels, uint8 `(pictures, height, width, 3)`.

    Its values are `pixel * scale + offset` in the type, channels and layout of the input; with the type
    `bytes`, each is a PNG file. Layouts without a batch axis need exactly one picture.
    """
    if wanted.dtype == "bytes":
        return _in_string_layout([_png(each) for each in pixels], wanted.layout)
    channels = _channels(pixels, wanted.channels)
    if wanted.dtype == "uint8":
        return np.ascontiguousarray(_in_layout(channels, wanted.layout))
    if wanted.dtype == "int32":
        return np.ascontiguousarray(_in_layout(channels, wanted.layout), dtype=np.int32)
    exact: type[np.floating[Any]] = np.float64 if wanted.dtype == "float64" else np.float32
    scale: NDArray[Any] = np.asarray(wanted.scale, dtype=exact)
    offset: NDArray[Any] = np.asarray(wanted.offset, dtype=exact)
    values: NDArray[Any] = channels.astype(exact) * scale + offset
    values = np.ascontiguousarray(_in_layout(values, wanted.layout))
    if wanted.dtype == "bfloat16":
        return _bfloat16(values)
    return values.astype(np.float16) if wanted.dtype == "float16" else values


def axes_of(layout: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The axes of NHWC that a layout does not have, and the order that the others have in it.

    >>> axes_of("CHW")
    ((0,), (2, 0, 1))
    """
    kept = [axis for axis in "NHWC" if axis in layout]
    missing = tuple(index for index, axis in enumerate("NHWC") if axis not in layout)
    return missing, tuple(kept.index(axis) for axis in layout)


def _channels(pixels: NDArray[np.uint8], channels: str) -> NDArray[np.uint8]:
    if channels == "bgr":
        return pixels[..., ::-1]
    return _luma(pixels) if channels == "gray" else pixels


def _luma(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The luma of the pixels, exactly as Pillow computes it."""
    weighted = pixels.astype(np.uint32) @ np.array(LUMA, dtype=np.uint32)
    return ((weighted + 0x8000) >> 16).astype(np.uint8)[..., np.newaxis]


def _in_layout(values: NDArray[Any], layout: str) -> NDArray[Any]:
    """Values in the layout NHWC, in another layout."""
    if layout == "NF":
        return values.reshape(len(values), -1)
    missing, order = axes_of(layout)
    return np.transpose(np.squeeze(values, missing), order)


def _in_string_layout(files: list[bytes], layout: str) -> NDArray[Any]:
    values: NDArray[Any] = np.array(files, dtype=np.object_)
    if layout == "scalar":
        values = values.reshape(())
    elif layout == "N1":
        values = values.reshape(-1, 1)
    return values


def _png(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG file: it loses nothing, and all decoders of TensorFlow read it, `decode_jpeg` too."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()


def _bfloat16(values: NDArray[Any]) -> NDArray[Any]:
    """Finite float32 values as bfloat16, rounded to the nearest, ties to even."""
    bits = values.astype("<f4").view("<u4")
    rounded = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    return (rounded >> np.uint32(16)).astype("<u2").view(BFLOAT16)
