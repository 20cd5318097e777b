"""Estimates the time for decoding a picture from its header, before any pixel is decoded.

The estimates order pictures by cost. tests/gateway/pixels/test_decoding_time.py compares them with CPU times,
with noise as the content, which costs most. No format may exceed its estimate by three times as much as JPEG.
"""

from __future__ import annotations

from PIL import Image

_SECONDS_PER_PIXEL = {
    "JPEG": 8e-9, "MPO": 8e-9, "BMP": 12e-9, "HEIF": 16e-9, "AVIF": 20e-9, "GIF": 25e-9, "TIFF": 30e-9,
    "WEBP": 35e-9, "PNG": 45e-9,
}  # fmt: skip
#: For each pixel of the stored size of a JPEG with several scans, and for each byte.
_SEVERAL_SCANS = 20e-9
_SEVERAL_SCANS_PER_BYTE = 25e-9
#: For finding the parts of a file, and for inflating them.
_SECONDS_PER_BYTE = 10e-9
#: Decoders of video formats take longer for the bytes than for the pixels if a picture has much detail.
_SECONDS_PER_CODED_BYTE = {"HEIF": 100e-9, "AVIF": 100e-9, "WEBP": 30e-9}
#: For run-length encoded BMP files, which Pillow decodes in Python.
_SECONDS_PER_RUN_BYTE = 300e-9


def decoding_seconds(
    picture: Image.Image, stored: tuple[int, int], several_scans: bool, size_bytes: int
) -> float:
    """The estimated seconds for decoding. `stored` is the size in the file; a JPEG may decode to less."""
    each = _SEVERAL_SCANS if several_scans else _SECONDS_PER_PIXEL.get(picture.format or "", 45e-9)
    in_runs = any(tile[0] == "bmp_rle" for tile in getattr(picture, "tile", ()))
    if several_scans:
        per_byte = _SEVERAL_SCANS_PER_BYTE
    elif in_runs:
        per_byte = _SECONDS_PER_RUN_BYTE
    else:
        per_byte = _SECONDS_PER_CODED_BYTE.get(picture.format or "", _SECONDS_PER_BYTE)
    return stored[0] * stored[1] * each + size_bytes * per_byte
