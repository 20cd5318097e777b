"""The items of a HEIF file, and how often a decoder processes each of them (ISO/IEC 23008-12, section 6).

An image may be derived from others: a grid of tiles, an overlay, a rotation. libheif decodes an item once for
each item that refers to it, and processes all pixels for each rotation. So a file of 2 KB can take minutes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from struct import Struct

from .structure import Damaged, Structure, TooCostly

#: At offset 4, after the size of the first box.
SIGNATURES = (b"ftyp",)

#: Overlays and uncompressed images, whole or in tiles. No camera writes them. Their data contains a second
#: size, up to gigabytes, and libheif allocates it before it compares it with the item's size.
_REFUSED_TYPES = (b"iovl", b"unci", b"tili")
_TRANSFORMS = (b"irot", b"imir", b"clap")
#: References from an image to others that are decoded with it: its parts and its transparency.
_DERIVED, _AUXILIARY = b"dimg", b"auxl"
#: The limit for one level of boxes. A photograph of 200 megapixels has 800 tiles, and libheif reads at most
#: 1,000 items.
_MAX_BOXES = 4_096
#: The size and the kind, with which each box begins.
_BOX_HEAD = Struct(">I4s")
_MAX_REFERENCES = 4_096
#: The worst real case is a rotated, transparent grid with tiles beyond its edges: its pixels are processed
#: six or seven times.
_MAX_TIMES_OF_PIXELS = 8
#: An image below _SMALL_PIXELS has the limit of one with _SMALL_PIXELS. Each image costs at least as much as
#: one with _LEAST_PIXELS.
_SMALL_PIXELS = 1024 * 1024
_LEAST_PIXELS = 4_096
_MAX_DEPTH = 16


@dataclass
class _Items:
    """The items that the boxes describe, by item number."""

    primary: int = 0
    pixels: dict[int, int] = field(default_factory=dict)
    transforms: dict[int, int] = field(default_factory=dict)
    refused: dict[int, bytes] = field(default_factory=dict)
    #: For each item the items that are decoded with it, once for each reference.
    needed: dict[int, list[int]] = field(default_factory=dict)
    references: int = 0
    _costs: dict[int, int] = field(default_factory=dict)
    _seen: set[bytes] = field(default_factory=set)

    def once(self, kind: bytes) -> None:
        """Record a box that must be unique: of two, the decoder could read another one than we do."""
        if kind in self._seen:
            raise Damaged(f"it has two '{kind.decode()}' boxes")
        self._seen.add(kind)

    def cost(self, item: int, depth: int = 0) -> int:
        """The number of pixels that a decoder processes for this item."""
        if depth > _MAX_DEPTH:
            raise Damaged("its images are derived from each other too often")
        if item not in self._costs:
            self._check(item)
            own = max(_LEAST_PIXELS, self.pixels[item]) * (1 + self.transforms.get(item, 0))
            self._costs[item] = own + sum(self.cost(each, depth + 1) for each in self.needed.get(item, ()))
        return self._costs[item]

    def _check(self, item: int) -> None:
        if item in self.refused:
            raise TooCostly(
                f"has an image of type '{self.refused[item].decode()}', whose memory is not known before "
                "decoding. Save it again, or as a JPEG."
            )
        if not self.pixels.get(item):
            raise Damaged("an image in it has no size")


def inspect(data: bytes) -> Structure:
    """Check the boxes of a HEIC file.

    Raises TooCostly if a decoder would process far more pixels than the image has, and Damaged for more boxes
    or references than any encoder writes.
    """
    items = _Items()
    for kind, start, end in _boxes(data, 0, len(data)):
        if kind == b"meta":
            items.once(kind)
            _read_meta(data, start + 4, end, items)
    if not items.primary:  # not a picture; the decoder reports it
        return Structure(data)
    cost = items.cost(items.primary)
    pixels = items.pixels[items.primary]
    if cost > _MAX_TIMES_OF_PIXELS * max(pixels, _SMALL_PIXELS):
        raise TooCostly(
            f"has {pixels:,} pixels, but decoding it would process {cost:,} because its tiles or rotations "
            "repeat. Save it again, or as a JPEG."
        )
    return Structure(data)


def _read_meta(data: bytes, start: int, end: int, items: _Items) -> None:
    for kind, content, stop in _boxes(data, start, end):
        if kind == b"pitm":
            items.once(kind)
            items.primary = _number(data, content + 4, 4 if _number(data, content, 1) else 2)
        elif kind == b"iinf":
            items.once(kind)
            wide = _number(data, content, 1) > 0
            _read_types(data, content + (8 if wide else 6), stop, items)
        elif kind == b"iref":
            _read_references(data, content, stop, items)
        elif kind == b"iprp":
            items.once(kind)
            _read_properties(data, content, stop, items)


def _read_types(data: bytes, start: int, end: int, items: _Items) -> None:
    for _, content, _ in _boxes(data, start, end):
        size = 4 if _number(data, content, 1) > 2 else 2
        item, at = _number(data, content + 4, size), content + 6 + size
        if data[at : at + 4] in _REFUSED_TYPES:
            items.refused[item] = data[at : at + 4]


def _read_references(data: bytes, start: int, end: int, items: _Items) -> None:
    size = 4 if _number(data, start, 1) else 2
    for kind, content, stop in _boxes(data, start + 4, end):
        if kind not in (_DERIVED, _AUXILIARY):
            continue
        count = min(_number(data, content + size, 2), (stop - content) // size)
        items.references += count
        if items.references > _MAX_REFERENCES:
            raise Damaged(f"its images refer to each other more than {_MAX_REFERENCES:,} times")
        one, first = _number(data, content, size), content + size + 2
        others = [_number(data, first + size * index, size) for index in range(count)]
        if kind == _DERIVED:
            items.needed.setdefault(one, []).extend(others)
        else:
            for other in others:
                items.needed.setdefault(other, []).append(one)


def _read_properties(data: bytes, start: int, end: int, items: _Items) -> None:
    boxes = list(_boxes(data, start, end))
    properties: list[tuple[bytes, int]] = [(b"", 0)]  # property numbers begin with 1
    for kind, content, stop in boxes:
        if kind == b"ipco":
            items.once(kind)
            for name, at, _ in _boxes(data, content, stop):
                size = _number(data, at + 4, 4) * _number(data, at + 8, 4) if name == b"ispe" else 0
                properties.append((name, size))
    for kind, content, stop in boxes:
        if kind == b"ipma":
            _associate(data, content, stop, properties, items)


def _associate(data: bytes, start: int, end: int, properties: list[tuple[bytes, int]], items: _Items) -> None:
    wide_number = 4 if _number(data, start, 1) else 2
    wide_index = 2 if _number(data, start + 3, 1) & 1 else 1
    at = start + 8
    for _ in range(min(_number(data, start + 4, 4), _MAX_BOXES)):
        if at >= end:
            return
        item, count = _number(data, at, wide_number), _number(data, at + wide_number, 1)
        at += wide_number + 1
        for _ in range(count):
            index = _number(data, at, wide_index) & (0x7FFF if wide_index == 2 else 0x7F)
            at += wide_index
            name, size = properties[index] if index < len(properties) else (b"", 0)
            if name == b"ispe" and items.pixels.setdefault(item, size) != size:
                raise Damaged("an image in it has two sizes")
            items.transforms[item] = items.transforms.get(item, 0) + (name in _TRANSFORMS)


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """The kind of each box between `start` and `end`, and the start and end of its content."""
    for _ in range(_MAX_BOXES):
        if start + 8 > end:
            return
        size, kind = _BOX_HEAD.unpack_from(data, start)
        content = start + 8
        if size == 1:
            size, content = _number(data, content, 8), content + 8
        stop = start + size if size else end
        if stop < content or stop > end:
            stop = end  # the file is truncated; use the part that exists
        yield kind, content, stop
        start = stop
    raise Damaged(f"it has more than {_MAX_BOXES:,} boxes")


def _number(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "big")
