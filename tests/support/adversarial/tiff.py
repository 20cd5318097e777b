"""TIFF files."""

from __future__ import annotations

import struct
import zlib

from .drawing import side_of
from .registry import body


def tiff(entries: list[tuple[int, int, int, bytes]], data: bytes = b"", following: int = 0) -> bytes:
    """A little-endian TIFF of such (tag, type, count, value of 4 bytes or more): values stand behind `data`,
    which begins at byte 8."""
    at = 8 + len(data) + 2 + 12 * len(entries) + 4
    directory, values = struct.pack("<H", len(entries)), []
    for tag, kind, count, value in sorted(entries):
        if len(value) > 4:
            directory += struct.pack("<HHII", tag, kind, count, at)
            values.append(value)
            at += len(value)
        else:
            directory += struct.pack("<HHI4s", tag, kind, count, value)
    head = b"II*\0" + struct.pack("<I", 8 + len(data))
    return head + data + directory + struct.pack("<I", following) + b"".join(values)


def _long(value: int) -> tuple[int, int, bytes]:
    return 4, 1, struct.pack("<I", value)


def _grey_tiff(width: int, height: int, compression: int) -> list[tuple[int, int, int, bytes]]:
    short = struct.pack("<HH", 8, 0)
    return [
        (256, *_long(width)), (257, *_long(height)), (258, 3, 1, short), (259, *_long(compression)),
        (262, *_long(1)), (277, *_long(1)),
    ]  # fmt: skip


def _places(offsets: int, lengths: int, count: int, length: int) -> list[tuple[int, int, int, bytes]]:
    """The two tags of `count` strips or tiles, which are all the same bytes behind the head of the file."""
    return [
        (offsets, 4, count, struct.pack("<I", 8) * count),
        (lengths, 4, count, struct.pack("<I", length) * count),
    ]


@body("tiff-many-strips", "image/tiff")
def tiff_many_strips(size: int) -> bytes:
    """Far more strips than the picture has rows: the decoder creates an object for each."""
    count = max(1, size // 8)
    return tiff(
        [*_grey_tiff(64, 64, 1), (278, *_long(1)), *_places(273, 279, count, 64)],
        bytes(64),
    )


@body("tiff-strips-of-a-row", "image/tiff")
def tiff_strips_of_a_row(size: int) -> bytes:
    """Every row is the same few bytes, deflated."""
    row = zlib.compress(bytes(64))
    count = min(max(1, size // 8), 390_000)
    return tiff(
        [*_grey_tiff(64, count, 8), (278, *_long(1)), *_places(273, 279, count, len(row))],
        row,
    )


def tiff_of_tiles(width: int, height: int, tile: int) -> bytes:
    """Deflated tiles that are all the same bytes, and each of them whole, however little of it is shown."""
    data = zlib.compress(bytes(tile * tile), 9)
    count = -(-width // tile) * -(-height // tile)
    return tiff(
        [
            *_grey_tiff(width, height, 8),
            (322, *_long(tile)),
            (323, *_long(tile)),
            *_places(324, 325, count, len(data)),
        ],
        data,
    )


@body("tiff-tiles-on-the-edge", "image/tiff")
def tiff_tiles_on_the_edge(size: int) -> bytes:
    """A picture of one column: of each tile of a megapixel one column is used."""
    return tiff_of_tiles(1, min(max(1, size // 8) * 1024, 16_000_000), 1024)


@body("tiff-overlapping-values", "image/tiff")
def tiff_overlapping_values(size: int) -> bytes:
    good = tiff(
        [*_grey_tiff(64, 64, 1), (273, *_long(8)), (278, *_long(64)), (279, *_long(4096))], bytes(4096)
    )
    entries = min(60_000, max(1, size // 24))
    start = struct.unpack_from("<I", good, 4)[0]
    directory = good[start + 2 : start + 2 + 9 * 12]
    directory += b"".join(struct.pack("<HHII", 1000 + n, 7, size // 2, 8) for n in range(entries))
    head = good[:4] + struct.pack("<I", start)
    return head + good[8:start] + struct.pack("<H", 9 + entries) + directory + bytes(4) + bytes(size // 2)


@body("tiff-numbers", "image/tiff")
def tiff_numbers(size: int) -> bytes:
    """A private tag of many fractions."""
    count = max(1, size // 8)
    return tiff(
        [*_grey_tiff(64, 64, 1), (273, *_long(8)), (278, *_long(64)), (279, *_long(4096)),
         (282, 5, count, struct.pack("<II", 72, 1) * count), (50_000, 5, count, bytes(8 * count))],
        bytes(4096),
    )  # fmt: skip


@body("tiff-endless-directories", "image/tiff")
def tiff_endless_directories(size: int) -> bytes:
    """A directory that names itself as the next one."""
    entries = [*_grey_tiff(64, 64, 1), (273, *_long(8)), (278, *_long(64)), (279, *_long(4096))]
    return tiff(entries, bytes(4096), following=8 + 4096) + bytes(size)


@body("tiff-bomb", "image/tiff")
def tiff_bomb(size: int) -> bytes:
    """Four channels of 16 bits in one deflated strip."""
    side = min(side_of(size * 1000 / 8), 4_064)
    data = zlib.compress(bytes(8 * side * side), 6)
    short = struct.pack("<HHHH", 16, 16, 16, 16)
    return tiff(
        [(256, *_long(side)), (257, *_long(side)), (258, 3, 4, short), (259, *_long(8)), (262, *_long(2)),
         (273, *_long(8)), (277, *_long(4)), (278, *_long(side)), (279, *_long(len(data))),
         (338, 3, 1, struct.pack("<HH", 2, 0))],
        data,
    )  # fmt: skip
