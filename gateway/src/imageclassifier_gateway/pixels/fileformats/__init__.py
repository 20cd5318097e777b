"""What the bytes of an image file say about the cost of reading it, before a decoder sees them.

Decoders keep what they meet: Pillow holds 18 MB for a megabyte of empty JPEG comments, 44 MB for one of GIF
comments, and libjpeg goes through all coefficients for each scan, however short. `inspect` refuses files that
are built so, and leaves out metadata that no pixel depends on where there is much of it. No I/O, no Pillow.
"""

from __future__ import annotations

from collections.abc import Callable

from . import bmp, gif, heif, jpeg, png, tiff, webp
from .structure import Damaged, Structure, TooCostly

__all__ = ["Damaged", "Structure", "TooCostly", "inspect"]

_READERS: tuple[tuple[tuple[bytes, ...], Callable[[bytes], Structure]], ...] = (
    (jpeg.SIGNATURES, jpeg.inspect),
    (png.SIGNATURES, png.inspect),
    (gif.SIGNATURES, gif.inspect),
    (webp.SIGNATURES, webp.inspect),
    (tiff.SIGNATURES, tiff.inspect),
    (bmp.SIGNATURES, bmp.inspect),
)


def inspect(data: bytes) -> Structure:
    """The structure of a file in any format. Raises TooCostly or Damaged."""
    for signatures, read in _READERS:
        if data.startswith(signatures):
            return read(data)
    if data.startswith(heif.SIGNATURES, 4):
        return heif.inspect(data)
    return Structure(data)
