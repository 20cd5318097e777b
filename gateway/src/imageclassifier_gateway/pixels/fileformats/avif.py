"""The coded images of an AVIF file: where they lie, and whether each has the size that the file announces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from . import av1
from .boxes import MAX_BOXES, number
from .structure import Damaged, Unsupported

BRANDS = (b"avif", b"avis")
#: The item types that libavif decodes.
CODED, GRID = b"av01", b"grid"
#: The largest grid has 256 x 256 tiles, but encoders make tens of them. Each takes 60 µs to check.
_MAX_IMAGES = 1_000
_SHARED = "its images share their data"


@dataclass
class Locations:
    """The parts of the file that contain each item (`iloc`), and the box `idat`."""

    parts: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    """Start and end of each part."""
    inside: set[int] = field(default_factory=set)
    """The items whose parts count from the start of `idat`."""
    idat: int = 0

    def data(self, file: bytes, item: int) -> bytes:
        """The data of an item. Raises Damaged if the file does not contain all of it."""
        offset = self.idat if item in self.inside else 0
        if sum(end - start for start, end in self.parts.get(item, ())) > len(file):
            raise Damaged(_SHARED)
        parts = [(offset + start, offset + end) for start, end in self.parts.get(item, ())]
        if not parts or any(not 0 <= start < end <= len(file) for start, end in parts):
            raise Damaged("an image in it is truncated")
        return b"".join(file[start:end] for start, end in parts)


def refuse_sequence(kinds: Iterable[bytes]) -> None:
    """Raise Unsupported for an AVIF file with one of these boxes that contains a sequence of images."""
    if b"moov" in kinds or b"moof" in kinds:
        raise Unsupported("is an animated AVIF file. Send one of its frames, or save it as a GIF or WebP.")
    if b"mini" in kinds:
        raise Unsupported("is an AVIF file in the short form. Save it again, or as a JPEG.")


def check(
    file: bytes, types: Mapping[int, bytes], sizes: Mapping[int, tuple[int, int]], at: Locations
) -> bool:
    """Check every coded image and grid of the file. `sizes`: what the file announces for each item.

    Returns whether an image has values of more than 8 bits.

    Raises Damaged if a decoder would find another size, and Unsupported for images of several frames.
    """
    left, is_deep = len(file), False
    images = [item for item, kind in types.items() if kind in (CODED, GRID)]
    if len(images) > _MAX_IMAGES:
        raise Damaged(f"it has more than {_MAX_IMAGES:,} images")
    for item in images:
        data, size = at.data(file, item), sizes.get(item)
        left -= len(data)
        if left < 0:
            raise Damaged(_SHARED)
        if size is None:
            raise Damaged("an image in it has no size")
        if types[item] == CODED:
            is_deep |= av1.check(data, size)
        elif _grid_size(data) != size:
            raise Damaged("it contains two different sizes")
    return is_deep


def _grid_size(data: bytes) -> tuple[int, int]:
    """The size in the data of a grid (ISO/IEC 23008-12, section 6.6.2.3)."""
    wide = 4 if number(data, 1, 1) & 1 else 2
    return number(data, 4, wide), number(data, 4 + wide, wide)


def read_locations(data: bytes, start: int, end: int, found: Locations) -> None:
    """Read the box `iloc` (ISO/IEC 14496-12, section 8.11.3)."""
    version, widths = number(data, start, 1), number(data, start + 4, 2)
    offset_width, length_width, base_width = widths >> 12, widths >> 8 & 15, widths >> 4 & 15
    index_width = widths & 15 if version in (1, 2) else 0
    wide = 2 if version < 2 else 4
    at, total = start + 6 + wide, 0
    items = number(data, start + 6, wide)
    if items > MAX_BOXES:
        raise Damaged(f"it has more than {MAX_BOXES:,} images")
    for _ in range(items):
        if at >= end:
            return
        item = number(data, at, wide)
        at += wide
        method = 0
        if version in (1, 2):
            method = number(data, at, 2) & 15
            at += 2
        base, count = number(data, at + 2, base_width), number(data, at + 2 + base_width, 2)
        at += 4 + base_width
        total += count
        if total > MAX_BOXES:
            raise Damaged(f"its images have more than {MAX_BOXES:,} parts")
        if item in found.parts:
            raise Damaged("an image in it has two places")
        if method > 1:
            raise Unsupported("is an AVIF file whose images consist of others. Save it again, or as a JPEG.")
        if method == 1:
            found.inside.add(item)
        parts = found.parts[item] = []
        for _ in range(count):
            at += index_width
            offset = base + number(data, at, offset_width)
            length = number(data, at + offset_width, length_width)
            at += offset_width + length_width
            parts.append((offset, offset + length))
