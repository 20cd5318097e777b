"""The items of a HEIF file, and how often a decoder works on each of them (ISO/IEC 23008-12, section 6).

An image may be derived from others: a grid of tiles, an overlay, a rotation. libheif decodes an item again
each time that another one names it, and turns all its pixels for each rotation, so 2 KB can ask for minutes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from .structure import Damaged, Structure, TooCostly

#: Behind the size of the first box.
SIGNATURES = (b"ftyp",)

#: Their data name a size of their own, up to gigabytes, which libheif allocates before it compares it with
#: the item's size. No camera writes them: overlays, and uncompressed images whole or in tiles.
_REFUSED_TYPES = (b"iovl", b"unci", b"tili")
_TRANSFORMS = (b"irot", b"imir", b"clap")
#: What one image decodes to can need another image: its parts, and its transparency.
_DERIVED, _AUXILIARY = b"dimg", b"auxl"
#: A file has tens of boxes at each level; a photograph of 200 megapixels has 800 tiles.
_MAX_BOXES = 20_000
_MAX_REFERENCES = 4_096
#: A transparent and turned grid whose tiles stick out over its edges is worked on six or seven times.
_MAX_TIMES_OF_PIXELS = 8
#: Files of few pixels may do more. An image costs as much as this many pixels, however small it is.
_SMALL_PIXELS = 1024 * 1024
_LEAST_PIXELS = 4_096
_MAX_DEPTH = 16


@dataclass
class _Items:
    """What the boxes say about the items, by their numbers."""

    primary: int = 0
    pixels: dict[int, int] = field(default_factory=dict)
    transforms: dict[int, int] = field(default_factory=dict)
    refused: dict[int, bytes] = field(default_factory=dict)
    #: The items that decoding an item decodes too, each as often as it is named.
    needed: dict[int, list[int]] = field(default_factory=dict)
    references: int = 0
    _costs: dict[int, int] = field(default_factory=dict)
    _seen: set[bytes] = field(default_factory=set)

    def once(self, kind: bytes) -> None:
        """Notes a box that a file has once. Of two, a decoder could read the other one than we do."""
        if kind in self._seen:
            raise Damaged(f"it has two '{kind.decode()}' boxes")
        self._seen.add(kind)

    def cost(self, item: int, depth: int = 0) -> int:
        """The pixels that are worked on for this item."""
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
                f"has an image of type '{self.refused[item].decode()}', whose memory cannot be told before "
                "it is decoded. Save it again, or as a JPEG."
            )
        if not self.pixels.get(item):
            raise Damaged("an image in it has no size")


def inspect(data: bytes) -> Structure:
    """Check the boxes of a HEIC file.

    Raises TooCostly if decoding works on far more pixels than the image has, and Damaged for more boxes or
    references than any encoder writes.
    """
    items = _Items()
    for kind, start, end in _boxes(data, 0, len(data)):
        if kind == b"meta":
            items.once(kind)
            _read_meta(data, start + 4, end, items)
    if not items.primary:  # no picture; the decoder says so
        return Structure(data)
    cost = items.cost(items.primary)
    pixels = items.pixels[items.primary]
    if cost > _MAX_TIMES_OF_PIXELS * max(pixels, _SMALL_PIXELS):
        raise TooCostly(
            f"has {pixels:,} pixels, and decoding it works on {cost:,}: its tiles or rotations repeat. "
            "Save it again, or as a JPEG."
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
    properties: list[tuple[bytes, int]] = [(b"", 0)]  # their numbers begin with 1
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
    """The kind of each box there, and where its content begins and ends."""
    for _ in range(_MAX_BOXES):
        if start + 8 > end:
            return
        size, content = _number(data, start, 4), start + 8
        if size == 1:
            size, content = _number(data, content, 8), content + 8
        stop = start + size if size else end
        if stop < content or stop > end:
            # A file that was cut off: what is there counts.
            stop = end
        yield data[start + 4 : start + 8], content, stop
        start = stop
    raise Damaged(f"it has more than {_MAX_BOXES:,} boxes")


def _number(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "big")
