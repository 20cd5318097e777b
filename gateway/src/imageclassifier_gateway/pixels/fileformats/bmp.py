"""The header of a BMP file (Windows GDI, BITMAPINFOHEADER)."""

from __future__ import annotations

from .structure import Structure, TooCostly

SIGNATURES = (b"BM",)

_RUN_LENGTH_ENCODED = (1, 2)
#: Pillow decodes run-length encoding in Python, at 0.2 to 0.4 us per pixel, and blocks all other threads
#: meanwhile. The limit allows 640 x 480.
_MAX_RUN_LENGTH_PIXELS = 320_000


def inspect(data: bytes) -> Structure:
    """Check the header. Raises TooCostly for a large file in run-length encoding."""
    header_bytes, compression = _number(data, 14), _number(data, 30)
    if header_bytes >= 40 and compression in _RUN_LENGTH_ENCODED:
        width, height = _number(data, 18, signed=True), abs(_number(data, 22, signed=True))
        if width * height > _MAX_RUN_LENGTH_PIXELS:
            raise TooCostly(
                f"has {width:,} x {height:,} pixels in run-length encoding, which is slow to decode; at most "
                f"{_MAX_RUN_LENGTH_PIXELS:,} pixels are accepted in it. Save it as PNG or JPEG."
            )
    return Structure(data)


def _number(data: bytes, at: int, *, signed: bool = False) -> int:
    return int.from_bytes(data[at : at + 4], "little", signed=signed)
