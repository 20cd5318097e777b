"""The items of a HEIC or AVIF file, and how often a decoder processes each (ISO/IEC 23008-12, section 6).

An image may be derived from others: a grid of tiles, an overlay, a rotation. libheif decodes an item once for
each item that refers to it, and processes all pixels for each rotation. So a file of 2 KB can take minutes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .avif import Locations
from .structure import Damaged, TooCostly

#: Overlays and uncompressed images, whole or in tiles. No camera writes them. Their data contains a second
#: size, up to gigabytes, and libheif allocates it before it compares it with the item's size.
_REFUSED_TYPES = (b"iovl", b"unci", b"tili")
_MAX_REFERENCES = 4_096
#: A photograph of 200 megapixels has 800 tiles, each with four boxes that name it, and about five properties.
_MAX_MENTIONS = 8_192
_MAX_ASSOCIATIONS = 65_536
#: Each image costs at least as much as one with as many pixels.
_LEAST_PIXELS = 4_096
_MAX_DEPTH = 16


@dataclass
class Items:
    """The items that the boxes describe, by item number."""

    primary: int = 0
    types: dict[int, bytes] = field(default_factory=dict)
    sizes: dict[int, tuple[int, int]] = field(default_factory=dict)
    transforms: dict[int, int] = field(default_factory=dict)
    #: For each item the items that are decoded with it, once for each reference.
    needed: dict[int, list[int]] = field(default_factory=dict)
    #: Where the data of each item lies; None if that does not matter.
    locations: Locations | None = None
    _references: int = 0
    _mentions: int = 0
    _associations: int = 0
    _costs: dict[int, int] = field(default_factory=dict)
    _seen: set[bytes] = field(default_factory=set)

    def once(self, kind: bytes) -> None:
        """Record a box that must be unique: of two, the decoder could read another one than we do."""
        if kind in self._seen:
            raise Damaged(f"it has two '{kind.decode()}' boxes")
        self._seen.add(kind)

    def mention(self, count: int) -> None:
        """Count where the boxes name an item. libavif searches all items for each."""
        self._mentions += count
        if self.locations is not None and self._mentions > _MAX_MENTIONS:
            raise Damaged(f"its boxes name images more than {_MAX_MENTIONS:,} times")

    def refer(self, count: int) -> None:
        """Count references between images."""
        self._references += count
        if self._references > _MAX_REFERENCES:
            raise Damaged(f"its images refer to each other more than {_MAX_REFERENCES:,} times")

    def associate(self, count: int) -> None:
        """Count properties of items. libavif holds a copy for each."""
        self._associations += count
        if self._associations > _MAX_ASSOCIATIONS:
            raise Damaged(f"its images have more than {_MAX_ASSOCIATIONS:,} properties")

    def pixels(self, item: int) -> int:
        """The number of pixels that the file announces for an item; 0 if it announces none."""
        width, height = self.sizes.get(item, (0, 0))
        return width * height

    def cost(self, item: int, depth: int = 0) -> int:
        """The number of pixels that a decoder processes for this item."""
        if depth > _MAX_DEPTH:
            raise Damaged("its images are derived from each other too often")
        if item not in self._costs:
            self._check(item)
            own = max(_LEAST_PIXELS, self.pixels(item)) * (1 + self.transforms.get(item, 0))
            self._costs[item] = own + sum(self.cost(each, depth + 1) for each in self.needed.get(item, ()))
        return self._costs[item]

    def _check(self, item: int) -> None:
        kind = self.types.get(item)
        if kind in _REFUSED_TYPES:
            raise TooCostly(
                f"has an image of type '{kind.decode()}', whose memory is not known before "
                "decoding. Save it again, or as a JPEG."
            )
        if not self.pixels(item):
            raise Damaged("an image in it has no size")
