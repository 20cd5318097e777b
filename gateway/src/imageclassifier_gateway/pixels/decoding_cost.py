"""How much time decoding a picture takes, estimated from its header: before any pixel is decoded.

The figures are CPU times of one core of a usual server, measured with pictures of 0.2 to 24 million pixels
in each format. They order pictures by cost; nobody relies on them being right by less than a factor of three.
"""

from __future__ import annotations

from PIL import Image

_SECONDS_PER_PIXEL = {
    "JPEG": 8e-9, "MPO": 8e-9, "BMP": 12e-9, "HEIF": 16e-9, "GIF": 25e-9, "TIFF": 30e-9, "WEBP": 35e-9,
    "PNG": 45e-9,
}  # fmt: skip
#: A JPEG of several scans, for each pixel of its stored size.
_SEVERAL_SCANS = 20e-9
#: Finding the parts of a file, and inflating them.
_SECONDS_PER_BYTE = 10e-9
#: Pillow's decoder of run-length BMP files is written in Python.
_SECONDS_PER_RUN_BYTE = 300e-9


def decoding_seconds(
    picture: Image.Image, stored: tuple[int, int], several_scans: bool, size_bytes: int
) -> float:
    """Seconds that decoding takes, about; `stored` is the size in the file, of which a JPEG decodes less."""
    each = _SEVERAL_SCANS if several_scans else _SECONDS_PER_PIXEL.get(picture.format or "", 45e-9)
    in_runs = any(tile[0] == "bmp_rle" for tile in getattr(picture, "tile", ()))
    per_byte = _SECONDS_PER_RUN_BYTE if in_runs else _SECONDS_PER_BYTE
    return stored[0] * stored[1] * each + size_bytes * per_byte
