"""Estimates the memory for decoding a picture from its header, before any pixel is decoded.

Pillow's pictures take 4 bytes per pixel in RGB and with alpha, and 1 byte in grey or with a palette. Some
decoders take much more in addition. The figures were measured for each format (peak resident memory with 6.8
million pixels). `images._check_memory` multiplies them by the number of pixels, and refuses a picture that
needs too much.
"""

from __future__ import annotations

from PIL import Image

from .fileformats import Structure

#: Pillow's picture, and its conversion to RGB if it is not RGB already.
_PICTURE, _RGB = 4, 4
#: During decoding: libwebp's animation decoder, the only one that Pillow uses, holds two canvases and a copy
#: in addition to the picture; libheif holds its planes; libtiff holds a strip, which can be the whole
#: picture, with up to four channels of 16 bits; libavif holds its planes, a copy with grain, and
#: pixels that Pillow copies twice.
_DECODERS = {"AVIF": 15, "WEBP": 16, "HEIF": 9, "TIFF": 12}
#: In addition for an AVIF file with transparency: one more plane and channel at each step.
_AVIF_ALPHA = 4
#: If a JPEG has several scans, libjpeg holds all coefficients, also for decoding at a reduced scale: 2 bytes
#: for each pixel of the stored size and for each of at most 4 components.
_COEFFICIENTS = 8


def size_and_bytes_per_pixel(
    picture: Image.Image, stored: tuple[int, int], structure: Structure
) -> tuple[tuple[int, int], int]:
    """The size that is decoded, and the most bytes for each of its pixels until they are RGB.

    `stored` is the size in the file; `picture` may be a JPEG that is decoded at a reduced scale.
    """
    if structure.several_scans:
        return stored, _COEFFICIENTS
    return picture.size, _bytes_per_pixel(picture)


def _bytes_per_pixel(picture: Image.Image) -> int:
    is_rgb = picture.mode == "RGB" and "transparency" not in picture.info
    each = _PICTURE if is_rgb else _PICTURE + _RGB
    decoder = _DECODERS.get(picture.format or "", 0)
    return max(decoder if is_rgb or picture.format != "AVIF" else decoder + _AVIF_ALPHA, each)
