"""How much memory the decoders take, told from a picture's header: before any pixel is decoded.

Pillow's pictures take 4 bytes a pixel in RGB and with alpha, 1 in grey or with a palette. Some decoders take
much more beside: the figures were measured with each format (peak resident memory over 6.8 million pixels).
"""

from __future__ import annotations

from PIL import Image, JpegImagePlugin, TiffImagePlugin

#: Pillow's own picture, and the RGB one that is made of it where it is not one already.
_PICTURE, _RGB = 4, 4
#: While they decode: libwebp's animation decoder, the only one Pillow uses, with two canvases and a copy
#: beside the picture; libheif with its planes; libtiff with a strip, which may hold the whole picture, in up
#: to four channels of 16 bits.
_DECODERS = {"WEBP": 16, "HEIF": 9, "TIFF": 12}
#: All of a JPEG's coefficients: 2 bytes each, and at most 4 components.
_COEFFICIENTS = 8

#: TIFF 6.0, section 15.
_TILE_WIDTH, _TILE_LENGTH = 322, 323


def bytes_per_pixel(picture: Image.Image) -> int:
    """Bytes that decoding a picture and turning it into RGB takes at most, for each of its pixels."""
    is_rgb = picture.mode == "RGB" and "transparency" not in picture.info
    return max(_DECODERS.get(picture.format or "", 0), _PICTURE if is_rgb else _PICTURE + _RGB)


def bytes_per_coefficient_pixel(picture: JpegImagePlugin.JpegImageFile, data: bytes) -> int:
    """Bytes that libjpeg holds for each pixel of the stored size, however small the picture is decoded.

    0 for a JPEG of one scan. One of several, progressive or not, has each of its coefficients in memory
    until the last scan is read.
    """
    return _COEFFICIENTS if picture.info.get("progressive") or _has_several_scans(picture, data) else 0


def _has_several_scans(picture: JpegImagePlugin.JpegImageFile, data: bytes) -> bool:
    """Whether the first scan leaves components out (ITU T.81, B.2.3): then others follow."""
    assert picture.fp is not None
    behind = picture.fp.tell()  # Pillow stops behind the header of the first scan
    return any(
        data[behind - length - 2 : behind - length + 3]
        == b"\xff\xda" + length.to_bytes(2, "big") + bytes([count])
        for count in range(1, picture.layers)
        for length in [6 + 2 * count]
    )


def tile_size(picture: Image.Image) -> tuple[int, int] | None:
    """Width and height of a TIFF's tiles: each is decoded as a whole, whatever the picture's size."""
    if not isinstance(picture, TiffImagePlugin.TiffImageFile):
        return None
    width, height = (picture.tag_v2.get(tag) for tag in (_TILE_WIDTH, _TILE_LENGTH))
    return None if width is None or height is None else (int(width), int(height))
