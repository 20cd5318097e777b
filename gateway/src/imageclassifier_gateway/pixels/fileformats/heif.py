"""Reads the boxes of a HEIC or AVIF file, and limits what its items may cost (ISO/IEC 23008-12)."""

from __future__ import annotations

from . import avif
from .boxes import MAX_BOXES, boxes, number
from .items import Items
from .structure import Damaged, Structure, TooCostly

#: At offset 4, after the size of the first box.
SIGNATURES = (b"ftyp",)

_TRANSFORMS = (b"irot", b"imir", b"clap")
#: References from an image to others that are decoded with it: its parts and its transparency.
_DERIVED, _AUXILIARY = b"dimg", b"auxl"
#: The worst real case is a rotated, transparent grid with tiles beyond its edges: its pixels are processed
#: six or seven times.
_MAX_TIMES_OF_PIXELS = 8
#: An image below has the limit of one with as many pixels.
_SMALL_PIXELS = 1024 * 1024
#: libavif and dav1d hold values of more than 8 bits in 16: for each pixel four bytes more in its planes,
#: and four in those of a copy to which grain is added.
_DEEP = 8

#: The kind of a property, and the width and the height in it if it is a size.
_Property = tuple[bytes, tuple[int, int]]


def inspect(data: bytes) -> Structure:
    """Check the boxes of a HEIC or AVIF file.

    Raises TooCostly if a decoder would process far more pixels than the image has, and Damaged for more boxes
    or references than any encoder writes. Raises Unsupported for an animated AVIF file.
    """
    found = list(boxes(data, 0, len(data)))
    is_avif = _is_avif(data, *found[0][1:]) if found else False
    items = Items(locations=avif.Locations() if is_avif else None)
    if is_avif:
        avif.refuse_sequence({kind for kind, _, _ in found})
    for kind, start, end in found:
        if kind == b"meta":
            items.once(kind)
            _read_meta(data, start + 4, end, items)
    is_deep = False
    if items.locations is not None:
        is_deep = avif.check(data, items.types, items.sizes, items.locations)
    if not items.primary:  # not a picture; the decoder reports it
        return Structure(data)
    cost = items.cost(items.primary)
    pixels = items.pixels(items.primary)
    if cost > _MAX_TIMES_OF_PIXELS * max(pixels, _SMALL_PIXELS):
        raise TooCostly(
            f"has {pixels:,} pixels, but decoding it would process {cost:,} because its tiles or rotations "
            "repeat. Save it again, or as a JPEG."
        )
    if not is_avif:
        return Structure(data)
    return Structure(data, size=items.sizes[items.primary], held_bytes=_DEEP * is_deep * pixels)


def _is_avif(data: bytes, start: int, end: int) -> bool:
    """Whether the box `ftyp` has a brand of AVIF, so that libavif accepts the file."""
    return any(data.find(brand, start, end) >= 0 for brand in avif.BRANDS)


def _read_meta(data: bytes, start: int, end: int, items: Items) -> None:
    for kind, content, stop in boxes(data, start, end):
        if kind == b"pitm":
            items.once(kind)
            items.primary = number(data, content + 4, 4 if number(data, content, 1) else 2)
        elif kind == b"iinf":
            items.once(kind)
            wide = number(data, content, 1) > 0
            _read_types(data, content + (8 if wide else 6), stop, items)
        elif kind == b"iref":
            _read_references(data, content, stop, items)
        elif kind == b"idat" and items.locations is not None:
            items.once(kind)
            items.locations.idat = content
        elif kind == b"iloc" and items.locations is not None:
            items.once(kind)
            avif.read_locations(data, content, stop, items.locations)
            items.mention(len(items.locations.parts))
        elif kind == b"iprp":
            items.once(kind)
            _read_properties(data, content, stop, items)


def _read_types(data: bytes, start: int, end: int, items: Items) -> None:
    for _, content, _ in boxes(data, start, end):
        items.mention(1)
        size = 4 if number(data, content, 1) > 2 else 2
        item, at = number(data, content + 4, size), content + 6 + size
        kind = data[at : at + 4]
        if items.types.setdefault(item, kind) != kind:
            raise Damaged("an image in it has two types")


def _read_references(data: bytes, start: int, end: int, items: Items) -> None:
    size = 4 if number(data, start, 1) else 2
    for kind, content, stop in boxes(data, start + 4, end):
        count = min(number(data, content + size, 2), (stop - content) // size)
        items.mention(1 + count)
        if kind not in (_DERIVED, _AUXILIARY):
            continue
        items.refer(count)
        one, first = number(data, content, size), content + size + 2
        others = [number(data, first + size * index, size) for index in range(count)]
        if kind == _DERIVED:
            items.needed.setdefault(one, []).extend(others)
        else:
            for other in others:
                items.needed.setdefault(other, []).append(one)


def _read_properties(data: bytes, start: int, end: int, items: Items) -> None:
    found = list(boxes(data, start, end))
    properties: list[_Property] = [(b"", (0, 0))]  # property numbers begin with 1
    for kind, content, stop in found:
        if kind == b"ipco":
            items.once(kind)
            for name, at, _ in boxes(data, content, stop):
                properties.append((name, (number(data, at + 4, 4), number(data, at + 8, 4))))
    for kind, content, stop in found:
        if kind == b"ipma":
            _associate(data, content, stop, properties, items)


def _associate(data: bytes, start: int, end: int, properties: list[_Property], items: Items) -> None:
    wide_number = 4 if number(data, start, 1) else 2
    wide_index = 2 if number(data, start + 3, 1) & 1 else 1
    at = start + 8
    for _ in range(min(number(data, start + 4, 4), MAX_BOXES)):
        if at >= end:
            return
        item, count = number(data, at, wide_number), number(data, at + wide_number, 1)
        at += wide_number + 1
        items.mention(1)
        items.associate(count)
        for _ in range(count):
            index = number(data, at, wide_index) & (0x7FFF if wide_index == 2 else 0x7F)
            at += wide_index
            name, size = properties[index] if index < len(properties) else (b"", (0, 0))
            if name == b"ispe" and items.sizes.setdefault(item, size) != size:
                raise Damaged("an image in it has two sizes")
            items.transforms[item] = items.transforms.get(item, 0) + (name in _TRANSFORMS)
