"""BMP files."""

from __future__ import annotations

import struct

from .registry import body


def bmp_of_runs(width: int, height: int, runs: bytes) -> bytes:
    """An 8-bit BMP compressed in runs (BI_RLE8)."""
    palette = b"".join(bytes([n, n, n, 0]) for n in range(256))
    start = 14 + 40 + len(palette)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(runs), 2835, 2835, 256, 0)
    return b"BM" + struct.pack("<IHHI", start + len(runs), 0, 0, start) + info + palette + runs


@body("bmp-empty-lines", "image/bmp")
def bmp_empty_lines(size: int) -> bytes:
    """Rows of one pixel, which a decoder fills up one by one."""
    return bmp_of_runs(4_990, 4_990, b"\x01\0\0\0" * 4_990) + bytes(size)


@body("bmp-short-runs", "image/bmp")
def bmp_short_runs(size: int) -> bytes:
    width = 4_000
    rows = min(max(1, size // (2 * width)), 6_000)
    return bmp_of_runs(width, rows, (b"\x01\0" * width + b"\0\0") * rows)


@body("bmp-bomb", "image/bmp")
def bmp_bomb(size: int) -> bytes:
    """Runs of 255 pixels."""
    rows = min(max(1, size // 42), 4_990)
    return bmp_of_runs(5_000, rows, (b"\xff\0" * 19 + b"\x9b\0" + b"\0\0") * rows)
