"""Checks the structure of image files, so that a small file cannot make a decoder use much memory or time.

Pillow holds 18 MB for one megabyte of empty JPEG comments, and 44 MB for one megabyte of GIF comments.
libjpeg processes all coefficients for each scan, even for an empty one. `inspect` refuses files that exploit
this, and removes metadata that no pixel depends on if there is much of it. No I/O, no Pillow.
"""

from __future__ import annotations

from collections.abc import Callable

from . import bmp, gif, heif, jpeg, png, tiff, webp
from .structure import Damaged, Structure, TooCostly, Unsupported

__all__ = ["Damaged", "Structure", "TooCostly", "Unsupported", "inspect", "is_known"]

_READERS: tuple[tuple[tuple[bytes, ...], Callable[[bytes], Structure]], ...] = (
    (jpeg.SIGNATURES, jpeg.inspect),
    (png.SIGNATURES, png.inspect),
    (gif.SIGNATURES, gif.inspect),
    (webp.SIGNATURES, webp.inspect),
    (tiff.SIGNATURES, tiff.inspect),
    (bmp.SIGNATURES, bmp.inspect),
)


def inspect(data: bytes) -> Structure:
    """Check a file of any format, and return its structure. Raises TooCostly, Damaged or Unsupported."""
    for signatures, read in _READERS:
        if data.startswith(signatures):
            return read(data)
    if data.startswith(heif.SIGNATURES, 4):
        return heif.inspect(data)
    return Structure(data)


def is_known(start: bytes) -> bool:
    """Whether a file that begins with these bytes has the signature of a supported format."""
    return any(start.startswith(signatures) for signatures, _ in _READERS) or start.startswith(
        heif.SIGNATURES, 4
    )
