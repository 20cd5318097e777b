"""The blocks of a GIF file in front of its first frame (GIF89a, appendix B)."""

from __future__ import annotations

import re

from .structure import Damaged, Structure

SIGNATURES = (b"GIF87a", b"GIF89a")

_BLOCK = re.compile(rb"[!,;]")
_GRAPHIC_CONTROL = 0xF9
_FRAME = b","
#: A comment or an XMP packet of a few megabytes has this many. `inspect` does one step for each.
_MAX_SUB_BLOCKS = 20_000
#: Pillow keeps comments in pieces of a few bytes. If the metadata is larger than this, it is removed.
_MAX_METADATA_BYTES = 64 * 1024


def inspect(data: bytes) -> Structure:
    """Remove the metadata before the first frame if there is much, but keep the frame's transparency.

    Raises Damaged if there are more sub-blocks than any encoder writes.
    """
    palette = 3 << (data[10] & 7) + 1 if len(data) > 10 and data[10] & 0x80 else 0
    start = at = 13 + palette
    control = b""
    sub_blocks = 0
    while found := _BLOCK.search(data, at):
        at = found.start()
        if found[0] != b"!":
            break
        label, at = data[at + 1 : at + 2], at + 2
        if label == bytes([_GRAPHIC_CONTROL]) and data[at + 1 : at + 2] and data[at + 1] & 1:
            control = data[at - 2 : at + 1 + data[at]] + b"\0"
        while at < len(data) and data[at]:
            at += 1 + data[at]
            sub_blocks += 1
            if sub_blocks > _MAX_SUB_BLOCKS:
                raise Damaged(f"it has more than {_MAX_SUB_BLOCKS:,} blocks before its first frame")
        at += 1
        sub_blocks += 1
    if found is None or found[0] != _FRAME or at - start <= _MAX_METADATA_BYTES:
        return Structure(data)
    view = memoryview(data)
    return Structure(b"".join((view[:start], control, view[at:])))
