"""Draws the golden photograph of a model: a JPEG as a phone writes it.

It is large enough for every way of decoding to give other pixels: at another scale, without its orientation,
or with other colours.
"""

from __future__ import annotations

import io
import math
import struct

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imageclassifier_gateway.contract import ModelInput

#: Margins of 2, 1.33 and 0.85 decode a picture of this many pixels for each pixel of the input at the scales
#: 1, 1/2 and 1/4.
_PIXELS_FOR_EACH = 3.5
_MAX_SIDE = 2048
#: The number of cells across a layer of clouds, and the weight of the layer.
_LAYERS = ((3, 60.0), (12, 40.0), (48, 25.0), (160, 12.0))
_NOISE = 3.0
_QUALITY = 85
_ORIENTATION_TAG, _TURNED_RIGHT = 0x0112, 6
#: The primaries of Display P3, adapted to D50, and the white of D50, as XYZ.
_PRIMARIES = {
    b"rXYZ": (0.51512, 0.24120, -0.00105),
    b"gXYZ": (0.29198, 0.69225, 0.04189),
    b"bXYZ": (0.15710, 0.06657, 0.78407),
}
_D50 = (0.9642, 1.0, 0.8249)
_GAMMA = 2.2


def draw(wanted: ModelInput, seed: int) -> bytes:
    """Draw clouds of several sizes with a little noise, stored turned and with the profile of a phone."""
    width, height = (
        min(_MAX_SIDE, math.ceil(_PIXELS_FOR_EACH * side)) for side in (wanted.width, wanted.height)
    )
    picture = Image.fromarray(_clouds(width, height, np.random.default_rng(seed)))
    exif = Image.Exif()
    exif[_ORIENTATION_TAG] = _TURNED_RIGHT
    buffer = io.BytesIO()
    picture.transpose(Image.Transpose.ROTATE_90).save(
        buffer, "JPEG", quality=_QUALITY, exif=exif, icc_profile=wide_gamut_profile()
    )
    return buffer.getvalue()


def _clouds(width: int, height: int, random: np.random.Generator) -> NDArray[np.uint8]:
    total = np.full((height, width, 3), 128.0, dtype=np.float32)
    for cells, weight in _LAYERS:
        small = random.random((cells, cells, 3), dtype=np.float32)
        for channel in range(3):
            layer = Image.fromarray(small[..., channel]).resize((width, height), Image.Resampling.BICUBIC)
            total[..., channel] += 2 * weight * (np.asarray(layer) - 0.5)
    total += _NOISE * random.standard_normal(total.shape, dtype=np.float32)
    return np.clip(total, 0, 255).astype(np.uint8)


def wide_gamut_profile() -> bytes:
    """A colour profile with the primaries of Display P3 (ICC.1:2001-04), as phones have one."""
    tags = {name: b"XYZ \0\0\0\0" + _xyz(value) for name, value in _PRIMARIES.items()}
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(_GAMMA * 256)) + b"\0\0"
    tags |= {b"wtpt": b"XYZ \0\0\0\0" + _xyz(_D50)} | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    offset = 128 + 4 + 12 * len(tags)
    table, content = struct.pack(">I", len(tags)), b""
    for name, value in tags.items():
        table += struct.pack(">4sII", name, offset + len(content), len(value))
        content += value
    header = struct.pack(
        ">I4sI4s4s4s12x4s28x",
        offset + len(content),
        b"\0\0\0\0",
        0x02400000,
        b"mntr",
        b"RGB ",
        b"XYZ ",
        b"acsp",
    )
    return (header + _xyz(_D50)).ljust(128, b"\0") + table + content


def _xyz(values: tuple[float, ...]) -> bytes:
    return struct.pack(">3i", *(round(each * 65536) for each in values))
