"""AVIF files."""

from __future__ import annotations

from dataclasses import replace

from heif_boxes import Item, av1_units, avif, box, coded_av1, full_box, grid

from .drawing import side_of
from .registry import body, repeat


@body("avif-bomb", "image/avif")
def avif_bomb(size: int) -> bytes:
    """As many pixels as are read."""
    side = min(side_of(size * 4000, 64), 3_584)
    return avif(coded_av1(side, side)) + bytes(size)


@body("avif-larger-than-announced", "image/avif")
def avif_larger_than_announced(size: int) -> bytes:
    """A decoder allocates what the coded image says."""
    return avif(replace(coded_av1(3_584, 3_584), size=(64, 64))) + bytes(size)


@body("avif-grid-larger-than-announced", "image/avif")
def avif_grid_larger_than_announced(size: int) -> bytes:
    tiles = [coded_av1(64, 64)] * 4
    return avif(replace(grid(2, 2, (16_000, 16_000), [2, 3, 4, 5]), size=(128, 128)), *tiles) + bytes(size)


@body("avif-grid-of-one-tile", "image/avif")
def avif_grid_of_one_tile(size: int) -> bytes:
    """A tile of 4 megapixels, decoded again for each of a thousand places of a grid."""
    return avif(grid(31, 31, (2048, 2048), [2] * 961), coded_av1(2048, 2048)) + bytes(size)


@body("avif-many-frames", "image/avif")
def avif_many_frames(size: int) -> bytes:
    """An image of frames that are all decoded, of which one is shown."""
    image = coded_av1(2048, 2048)
    sequence, frame = av1_units(image.data)
    return avif(replace(image, data=sequence + repeat(frame, size)))


@body("avif-many-units", "image/avif")
def avif_many_units(size: int) -> bytes:
    """An image with padding before its frame."""
    image = coded_av1(64, 64)
    sequence, frame = av1_units(image.data)
    return avif(replace(image, data=sequence + repeat(b"\x7a\0", size) + frame))


@body("avif-overlapping-parts", "image/avif")
def avif_overlapping_parts(size: int) -> bytes:
    """An image whose data consist of all of them a thousand times."""
    image = coded_av1(64, 64)
    return avif(replace(image, data=image.data + bytes(size), parts=1_000))


@body("avif-many-parts", "image/avif")
def avif_many_parts(size: int) -> bytes:
    return avif(replace(coded_av1(64, 64), parts=min(60_000, max(1, size // 8))))


@body("avif-many-images", "image/avif")
def avif_many_images(size: int) -> bytes:
    """Images beside the one that is shown."""
    image = coded_av1(16, 16)
    return avif(*[image] * max(1, min(60_000, size // (len(image.data) + 50))))


@body("avif-reference-boxes", "image/avif")
def avif_reference_boxes(size: int) -> bytes:
    """Each names two images that do not exist. libavif searches all images for each, and remembers it."""
    count = max(1, min(30_000, size // 14))
    boxes = (
        box(b"thmb", number.to_bytes(2, "big") + b"\0\1" + (number + 1).to_bytes(2, "big"))
        for number in range(2, 2 * count, 2)
    )
    return avif(coded_av1(64, 64), iref=full_box(b"iref", b"".join(boxes))) + bytes(max(0, size - 14 * count))


@body("avif-many-properties", "image/avif")
def avif_many_properties(size: int) -> bytes:
    whole = coded_av1(64, 64)
    properties = [*whole.properties, *(box(b"free", b"%06x" % n) for n in range(size // 14))]
    return avif(replace(whole, properties=properties, associations=[0]))


@body("avif-many-associations", "image/avif")
def avif_many_associations(size: int) -> bytes:
    """Images that have the same property again and again. libavif copies it each time."""
    other = Item(b"free", b"x", (1, 1), [box(b"free", b"")], associations=[0] * 250)
    return avif(coded_av1(64, 64), *[other] * max(1, min(60_000, size // 540)))
