"""How much memory the decoders take, told from a picture's header: before any pixel is decoded.

Pillow's pictures take 4 bytes a pixel in RGB and with alpha, 1 in grey or with a palette. Some decoders take
much more beside: the figures were measured with each format (peak resident memory over 6.8 million pixels).
"""

from __future__ import annotations

from PIL import Image

#: Pillow's own picture, and the RGB one that is made of it where it is not one already.
_PICTURE, _RGB = 4, 4
#: While they decode: libwebp's animation decoder, the only one Pillow uses, with two canvases and a copy
#: beside the picture; libheif with its planes; libtiff with a strip, which may hold the whole picture, in up
#: to four channels of 16 bits.
_DECODERS = {"WEBP": 16, "HEIF": 9, "TIFF": 12}
#: What libjpeg holds for each pixel of the stored size if a file has several scans, however small the picture
#: is decoded: all coefficients, 2 bytes each, of at most 4 components.
BYTES_PER_COEFFICIENT_PIXEL = 8


def bytes_per_pixel(picture: Image.Image) -> int:
    """Bytes that decoding a picture and turning it into RGB takes at most, for each of its pixels."""
    is_rgb = picture.mode == "RGB" and "transparency" not in picture.info
    return max(_DECODERS.get(picture.format or "", 0), _PICTURE if is_rgb else _PICTURE + _RGB)
