"""HEIC files."""

from __future__ import annotations

import struct

from heif_boxes import Item, box, coded, file, full_box, grid, overlay
from PIL import Image

from .drawing import saved, side_of
from .registry import body, repeat


def _heic(width: int, height: int) -> bytes:
    import pillow_heif

    pillow_heif.register_heif_opener()
    return saved(Image.new("RGB", (width, height)), "HEIF", quality=10)


@body("heic-many-boxes", "image/heic")
def heic_many_boxes(size: int) -> bytes:
    """Behind the picture, whose positions in the file stay right."""
    return _heic(64, 64) + repeat(box(b"free", b""), size)


@body("heic-bomb", "image/heic")
def heic_bomb(size: int) -> bytes:
    return _heic(side := min(side_of(size * 4000, 64), 2_048), side) + bytes(size)


@body("heic-nested-boxes", "image/heic")
def heic_nested_boxes(size: int) -> bytes:
    """Boxes within boxes, as deep as the size allows."""
    depth = max(1, min(size, 8_000_000) // 8)
    nested = b"".join(struct.pack(">I4s", 8 * (depth - n), b"dinf") for n in range(depth))
    return _heic(64, 64) + nested


@body("heic-grid-of-one-tile", "image/heic")
def heic_grid_of_one_tile(size: int) -> bytes:
    """A tile of 4 megapixels, decoded again for each of a thousand places of a grid."""
    return file([grid(31, 31, (2048, 2048), [2] * 961), coded(2048, 2048)]) + bytes(size)


@body("heic-rotations", "image/heic")
def heic_rotations(size: int) -> bytes:
    """A picture that is turned 250 times."""
    whole = coded(2048, 2048)
    turned = Item(whole.kind, whole.data, whole.size, [*whole.properties, box(b"irot", b"\1")])
    turned.associations = [0] + [1] * 250
    return file([turned]) + bytes(size)


@body("heic-nested-overlays", "image/heic")
def heic_nested_overlays(size: int) -> bytes:
    """Each overlay names the next one 30 times."""
    overlays = [overlay((256, 256), [number + 2] * 30) for number in range(10)]
    return file([*overlays, coded(256, 256)]) + bytes(size)


@body("heic-nested-grids", "image/heic")
def heic_nested_grids(size: int) -> bytes:
    """Grids of grids: each names the next one nine times."""
    grids = [grid(3, 3, (256, 256), [number + 2] * 9) for number in range(10)]
    return file([*grids, coded(256, 256)]) + bytes(size)


@body("heic-overlay-larger-than-its-item", "image/heic")
def heic_overlay_larger_than_its_item(size: int) -> bytes:
    """libheif allocates the size in the overlay's data, and then compares it with the item's."""
    lying = overlay((20_000, 20_000), [2])
    lying.size = (64, 64)
    return file([lying, coded(64, 64)]) + bytes(size)


@body("heic-many-references", "image/heic")
def heic_many_references(size: int) -> bytes:
    return file([coded(64, 64), overlay((64, 64), [1] * min(60_000, size // 10))]) + bytes(size)


@body("heic-reference-boxes", "image/heic")
def heic_reference_boxes(size: int) -> bytes:
    references = full_box(b"iref", repeat(box(b"thmb", b"\0\1\0\1\0\1"), size))
    return file([coded(64, 64)], iref=references)


@body("heic-many-properties", "image/heic")
def heic_many_properties(size: int) -> bytes:
    whole = coded(64, 64)
    properties = [*whole.properties, *(box(b"free", b"%06x" % n) for n in range(size // 14))]
    return file([Item(whole.kind, whole.data, whole.size, properties, associations=[0])])
