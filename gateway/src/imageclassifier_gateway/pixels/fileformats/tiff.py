"""The first directory of a TIFF or BigTIFF file (TIFF 6.0, section 2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from .structure import Damaged, Structure, TooCostly

SIGNATURES = (b"II*\0", b"MM\0*", b"MM*\0", b"II\0*", b"MM\0+", b"II+\0")

_WIDTH, _LENGTH, _COMPRESSION, _SAMPLES = 256, 257, 259, 277
_STRIP_ROWS, _TILE_WIDTH, _TILE_LENGTH = 278, 322, 323
_PLACES = (273, 279, 324, 325)
_PALETTE = 320
_DIRECTORIES = (34665, 34853, 40965)
_JPEG = (6, 7)
#: The bytes of a value of each numeric type. Pillow does not convert values of other types (texts, opaque
#: bytes), so they cost little.
_BYTES = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}
_INTEGERS = (3, 4, 13, 16)
#: Tags from this number on are private. Pillow does not read their values.
_PRIVATE = 32_768

#: Pillow takes 7 us for each entry. Cameras write tens.
_MAX_ENTRIES = 1_024
_MAX_VALUES = 1_024
_MAX_PALETTE = 3 * 65_536
#: Pillow creates an object for each strip or tile.
_MAX_PLACES = 65_536
_BYTES_PER_PLACE = 500
#: The last tiles of a row or column may extend beyond the picture, and a decoder decodes them whole. This is
#: the highest ratio of decoded pixels to the picture's pixels.
_MAX_SHARE_OF_EDGES = 4
_SMALL_PIXELS = 4 * 1024 * 1024
#: Bytes per pixel for libjpeg's coefficients: a strip or a tile can be a JPEG with several scans.
_COEFFICIENTS = 8


@dataclass(frozen=True)
class _Entry:
    tag: int
    kind: int
    count: int
    value: int


def inspect(data: bytes) -> Structure:
    """Check the directories.

    Raises TooCostly for too many strips, or for tiles that extend far beyond the picture, and Damaged for too
    long directories.
    """
    known: dict[int, int] = {}
    places = 0
    file = _File(data)
    for entry in file.entries(file.first):
        _check(entry)
        if entry.tag in _DIRECTORIES:  # EXIF directories, which Pillow reads too
            file.count(entry.value)
        if entry.tag in _PLACES:
            places = max(places, entry.count)
        if entry.kind in _INTEGERS and entry.count == 1:
            known.setdefault(entry.tag, entry.value)
    width, length = known.get(_WIDTH, 0), known.get(_LENGTH, 0)
    across, down = known.get(_TILE_WIDTH, 0), known.get(_TILE_LENGTH, 0)
    if across > 0 and down > 0:
        decoded = -(-width // across) * across * -(-length // down) * down
        if decoded > max(_MAX_SHARE_OF_EDGES * width * length, _SMALL_PIXELS):
            raise TooCostly(
                f"has {width:,} x {length:,} pixels in tiles of {across:,} x {down:,} pixels, which lie "
                "mostly outside the picture. Save it with smaller tiles."
            )
    else:
        across, down = width, min(length, known.get(_STRIP_ROWS, length))
    held = places * _BYTES_PER_PLACE
    if known.get(_COMPRESSION) in _JPEG:
        held += _COEFFICIENTS * across * down
    return Structure(data, held_bytes=held)


def _check(entry: _Entry) -> None:
    if entry.tag in _PLACES and entry.count > _MAX_PLACES:
        raise TooCostly(
            f"has {entry.count:,} strips or tiles; at most {_MAX_PLACES:,} are accepted. Save it with larger "
            "ones."
        )
    most = _MAX_PALETTE if entry.tag == _PALETTE else _MAX_VALUES
    if entry.tag < _PRIVATE and entry.tag not in _PLACES and entry.kind in _BYTES and entry.count > most:
        raise Damaged(f"tag {entry.tag} has {entry.count:,} values")


class _File:
    """Reads directories in the file's byte order."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._order: Literal["little", "big"] = "little" if data[:2] == b"II" else "big"
        # The sizes of an offset, of the number of entries and of an entry, in BigTIFF and in TIFF.
        self._offset, self._counter, self._entry = (8, 8, 20) if b"+" in data[2:4] else (4, 2, 12)
        self.first = self._number(self._offset, self._offset)

    def count(self, start: int) -> int:
        """The number of entries of the directory at `start`. Raises Damaged if there are too many."""
        count = self._number(start, self._counter)
        if count > _MAX_ENTRIES:
            raise Damaged(f"a directory has {count:,} entries")
        return count

    def entries(self, start: int) -> Iterator[_Entry]:
        """The entries of the directory at `start`; entries beyond the end of the file are empty."""
        first = start + self._counter
        for at in range(first, first + self.count(start) * self._entry, self._entry):
            kind, values = self._number(at + 2, 2), at + 4 + self._offset
            size = min(self._offset, _BYTES.get(kind, self._offset))
            yield _Entry(
                self._number(at, 2), kind, self._number(at + 4, self._offset), self._number(values, size)
            )

    def _number(self, at: int, size: int) -> int:
        return int.from_bytes(self._data[at : at + size], self._order)
