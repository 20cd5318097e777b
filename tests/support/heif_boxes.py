"""HEIF files box by box (ISO/IEC 23008-12), for files that no encoder writes."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from PIL import Image


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content


def full_box(kind: bytes, content: bytes, version: int = 0, flags: int = 0) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags) + content)


def find_box(data: bytes, *path: bytes) -> bytes:
    """The content of the first box on this path through an encoder's file."""
    for kind in path:
        at = 4 if data[:4] == bytes(4) else 0  # in a full box
        while data[at + 4 : at + 8] != kind:
            at += int.from_bytes(data[at : at + 4], "big")
        data = data[at + 8 : at + int.from_bytes(data[at : at + 4], "big")]
    return data


@dataclass
class Item:
    """One item of a file: a coded image, or one that is derived from others."""

    kind: bytes
    data: bytes
    size: tuple[int, int] | None
    properties: list[bytes] = field(default_factory=list)
    """Boxes beside the size."""
    derived_from: list[int] = field(default_factory=list)
    """Numbers of items, from 1."""
    associations: list[int] | None = None
    """Positions in `properties`, from 0, when not each of them once."""
    parts: int = 1
    """How often the place of its data is listed."""


@lru_cache
def coded(width: int, height: int, announced: tuple[int, int] | None = None) -> Item:
    """A black HEVC image; `announced` is the size in its header when it is not the true one."""
    import pillow_heif

    pillow_heif.register_heif_opener()
    buffer = io.BytesIO()
    Image.new("RGB", (width, height)).save(buffer, "HEIF", quality=10)
    data = buffer.getvalue()
    configuration = find_box(data, b"meta", b"iprp", b"ipco", b"hvcC")
    size = announced or (width, height)
    return Item(b"hvc1", find_box(data, b"mdat"), size, [box(b"hvcC", configuration)])


def grid(rows: int, columns: int, size: tuple[int, int], tiles: list[int]) -> Item:
    data = struct.pack(">BBBBII", 0, 1, rows - 1, columns - 1, *size)
    return Item(b"grid", data, size, derived_from=tiles)


def overlay(size: tuple[int, int], images: list[int]) -> Item:
    data = struct.pack(">BB4HII", 0, 1, 0, 0, 0, 0xFFFF, *size) + bytes(8 * len(images))
    return Item(b"iovl", data, size, derived_from=images)


def file(
    items: list[Item], primary: int = 1, iref: bytes | None = None, brand: bytes = b"heic", more: bytes = b""
) -> bytes:
    """The file of these items; the first has the number 1. `more` boxes come last."""
    #: Items share properties that are equal.
    places_of: dict[bytes, int] = {}
    associations = b""
    infos = references = b""
    for number, item in enumerate(items, 1):
        size = [] if item.size is None else [full_box(b"ispe", struct.pack(">II", *item.size))]
        places = [places_of.setdefault(each, len(places_of) + 1) for each in [*size, *item.properties]]
        indexes = places
        if item.associations is not None:
            indexes = places[: len(size)] + [places[len(size) + index] for index in item.associations]
        associations += struct.pack(">HB", number, len(indexes))
        associations += b"".join(struct.pack(">H", index) for index in indexes)
        infos += full_box(b"infe", struct.pack(">HH4s", number, 0, item.kind) + b"\0", version=2)
        if item.derived_from:
            numbers = [number, len(item.derived_from), *item.derived_from]
            references += box(b"dimg", struct.pack(f">{len(numbers)}H", *numbers))
    payload = b"".join(item.data for item in items)

    def meta(start: int) -> bytes:
        places, at = b"", start
        for number, item in enumerate(items, 1):
            places += struct.pack(">HHH", number, 0, item.parts)
            places += item.parts * struct.pack(">II", at, len(item.data))
            at += len(item.data)
        return full_box(
            b"meta",
            full_box(b"hdlr", bytes(4) + b"pict" + bytes(13))
            + full_box(b"pitm", struct.pack(">H", primary))
            + full_box(b"iinf", struct.pack(">H", len(items)) + infos)
            + (full_box(b"iref", references) if iref is None else iref)
            + box(
                b"iprp",
                box(b"ipco", b"".join(places_of))
                + full_box(b"ipma", struct.pack(">I", len(items)) + associations, flags=1),
            )
            + full_box(b"iloc", struct.pack(">BBH", 0x44, 0, len(items)) + places),
        )

    head = box(b"ftyp", brand + bytes(4) + b"mif1" + brand)
    return head + meta(len(head) + len(meta(0)) + 8) + box(b"mdat", payload) + more


@lru_cache
def coded_av1(width: int, height: int) -> Item:
    """A black AV1 image."""
    buffer = io.BytesIO()
    Image.new("RGB", (width, height)).save(buffer, "AVIF", quality=10, speed=10)
    data = buffer.getvalue()
    configuration = find_box(data, b"meta", b"iprp", b"ipco", b"av1C")
    return Item(b"av01", find_box(data, b"mdat"), (width, height), [box(b"av1C", configuration)])


def av1_units(data: bytes) -> tuple[bytes, bytes]:
    """The sequence header and the frame in the data of an image, each as a whole unit."""
    start = 2 * data.startswith(b"\x12\0")  # a temporal delimiter
    end = start + 2 + data[start + 1]
    return data[start:end], data[end:]


def avif(*items: Item, **options: Any) -> bytes:
    """An AVIF file of these items; the first is shown."""
    return file(list(items), brand=b"avif", **options)
