"""WebP files."""

from __future__ import annotations

import struct

from PIL import Image

from .drawing import saved, side_of
from .exif import exif_of_overlapping_values
from .registry import body, repeat


def _riff_chunk(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def _webp(width: int, height: int, flags: int, chunks: bytes) -> bytes:
    extended = (
        struct.pack("<BBH", flags, 0, 0)
        + (width - 1).to_bytes(3, "little")
        + (height - 1).to_bytes(3, "little")
    )
    content = b"WEBP" + _riff_chunk(b"VP8X", extended) + chunks
    return b"RIFF" + struct.pack("<I", len(content)) + content


def _webp_pixels(width: int, height: int) -> bytes:
    """The VP8L chunk of a WebP file without a header of its own."""
    return saved(Image.new("RGB", (width, height)), "WEBP", lossless=True, method=0)[12:]


@body("webp-many-chunks", "image/webp")
def webp_many_chunks(size: int) -> bytes:
    return _webp(64, 64, 0, _webp_pixels(64, 64) + repeat(_riff_chunk(b"junk", b""), size))


@body("webp-many-frames", "image/webp")
def webp_many_frames(size: int) -> bytes:
    position = bytes(3) + bytes(3) + (15).to_bytes(3, "little") * 2 + (1).to_bytes(3, "little") + b"\0"
    frame = _riff_chunk(b"ANMF", position + _webp_pixels(16, 16))
    return _webp(64, 64, 2, _riff_chunk(b"ANIM", bytes(6)) + repeat(frame, size))


@body("webp-exif-bomb", "image/webp")
def webp_exif_bomb(size: int) -> bytes:
    bomb = exif_of_overlapping_values(20_000, max(8, size - 240_000))
    return _webp(64, 64, 8, _webp_pixels(64, 64) + _riff_chunk(b"EXIF", bomb))


@body("webp-bomb", "image/webp")
def webp_bomb(size: int) -> bytes:
    side = min(side_of(size * 1000), 3_520)
    return _webp(side, side, 0, _webp_pixels(side, side)) + bytes(size)
