"""The boxes of HEIF files (ISO/IEC 14496-12, section 4.2)."""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct

from .structure import Damaged

#: The limit for one level of boxes. A photograph of 200 megapixels has 800 tiles, and libheif reads at most
#: 1,000 items.
MAX_BOXES = 4_096
#: The size and the kind, with which each box begins.
_HEAD = Struct(">I4s")


def boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """The kind of each box between `start` and `end`, and the start and end of its content."""
    for _ in range(MAX_BOXES):
        if start + 8 > end:
            return
        size, kind = _HEAD.unpack_from(data, start)
        content = start + 8
        if size == 1:
            size, content = number(data, content, 8), content + 8
        stop = start + size if size else end
        if stop < content or stop > end:
            stop = end  # the file is truncated; use the part that exists
        yield kind, content, stop
        start = stop
    raise Damaged(f"it has more than {MAX_BOXES:,} boxes")


def number(data: bytes, at: int, size: int) -> int:
    """The number in `size` bytes at an offset."""
    return int.from_bytes(data[at : at + size], "big")
