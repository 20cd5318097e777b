"""PNG files."""

from __future__ import annotations

import struct
import zlib

from .drawing import MEGAPIXEL, side_of
from .exif import exif_of_overlapping_values
from .registry import body, repeat


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _png(
    width: int, height: int, *between: bytes, bits: int = 8, colour: int = 0, interlace: int = 0
) -> bytes:
    """A PNG of zeros with chunks in front of its pixels."""
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    deflate = zlib.compressobj(1)
    row = bytes(1 + (width * channels * bits + 7) // 8)
    pixels = b"".join(deflate.compress(row * 64) for _ in range(height // 64 + 1)) + deflate.flush()
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlace)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", header),
            *between,
            _chunk(b"IDAT", pixels),
            _chunk(b"IEND", b""),
        )
    )


@body("png-many-chunks", "image/png")
def png_many_chunks(size: int) -> bytes:
    return _png(64, 64, repeat(_chunk(b"prVt", b""), size))


@body("png-many-texts", "image/png")
def png_many_texts(size: int) -> bytes:
    texts = (_chunk(b"tEXt", b"%07x\0x" % number) for number in range(max(1, size // 21)))
    return _png(64, 64, b"".join(texts))


@body("png-compressed-texts", "image/png")
def png_compressed_texts(size: int) -> bytes:
    """Each is a megabyte once it is inflated."""
    text = zlib.compress(bytes(MEGAPIXEL), 9)
    texts = (_chunk(b"zTXt", b"%07x\0\0" % n + text) for n in range(max(1, size // (len(text) + 21))))
    return _png(64, 64, b"".join(texts))


@body("png-compressed-profile", "image/png")
def png_compressed_profile(size: int) -> bytes:
    return _png(64, 64, repeat(_chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(MEGAPIXEL), 9)), size))


@body("png-pixels-in-tiny-chunks", "image/png")
def png_pixels_in_tiny_chunks(size: int) -> bytes:
    whole = _png(64, 64)
    at = whole.index(b"IDAT") - 4
    return whole[:at] + _chunk(b"IDAT", b"\x78") + repeat(_chunk(b"IDAT", b""), size) + whole[at:]


@body("png-exif-bomb", "image/png")
def png_exif_bomb(size: int) -> bytes:
    return _png(64, 64, _chunk(b"eXIf", exif_of_overlapping_values(20_000, max(8, size - 240_000))[6:]))


@body("png-bomb", "image/png")
def png_bomb(size: int) -> bytes:
    """Four channels of 16 bits, interlaced; about a thousand times its size in pixels, up to the limit."""
    side = min(side_of(size * 1000 / 8), 4_992)
    return _png(side, side, bits=16, colour=6, interlace=1)


@body("png-oversized-bomb", "image/png")
def png_oversized_bomb(size: int) -> bytes:
    """Ten gigapixels by its header."""
    whole = _png(64, 64)
    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 6, 0, 0, 0)
    pixels = _chunk(b"IDAT", zlib.compress(bytes(1000 * 1000), 9) + bytes(size))
    return whole[:8] + _chunk(b"IHDR", header) + pixels + whole[-12:]
