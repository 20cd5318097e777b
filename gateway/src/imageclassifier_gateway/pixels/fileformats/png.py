"""The chunks of a PNG file (W3C PNG, section 5)."""

from __future__ import annotations

from .structure import Damaged, Structure

SIGNATURES = (b"\x89PNG\r\n\x1a\n",)

_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
#: Pillow inflates each of these to at most one megabyte, and keeps the texts.
_COMPRESSED = (b"iCCP", b"zTXt", b"iTXt")
#: libpng writes 8 KiB into each chunk. `inspect` and Pillow do one step for each.
_MAX_CHUNKS = 20_000
#: Chunks that may contain the orientation.
_ORIENTED = (
    b"eXIf",
    b"iTXtXML:com.adobe.xmp\0",
    b"tEXtRaw profile type exif\0",
    b"zTXtRaw profile type exif\0",
)
_MAX_ORIENTED_BYTES = 64 * 1024
_MAX_ORIENTED = 8
#: If the metadata exceeds one of these limits, it is removed.
_MAX_METADATA_CHUNKS = 64
_MAX_METADATA_BYTES = 1024 * 1024
_MAX_COMPRESSED = 8


def inspect(data: bytes) -> Structure:
    """Remove the metadata, and all frames but the first, if they exceed a limit.

    Raises Damaged if there are more chunks than any encoder writes.
    """
    needed: list[tuple[int, int]] = [(0, 8)]
    chunks = metadata = metadata_bytes = compressed = oriented = 0
    at = 8
    while at + 8 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        kind = data[at + 4 : at + 8]
        chunks += 1
        if chunks > _MAX_CHUNKS:
            raise Damaged(f"it has more than {_MAX_CHUNKS:,} chunks")
        if kind in _PIXELS:
            # Adjacent chunks become one part, so that many chunks do not make many parts.
            if needed[-1][1] == at:
                needed[-1] = (needed[-1][0], end)
            else:
                needed.append((at, end))
            if kind == b"IEND":
                break
        else:
            metadata += 1
            metadata_bytes += end - at
            compressed += kind in _COMPRESSED
            if data.startswith(_ORIENTED, at + 4) and end - at <= _MAX_ORIENTED_BYTES:
                oriented += 1
                if oriented <= _MAX_ORIENTED:
                    needed.append((at, end))
        at = end
    if (
        metadata <= _MAX_METADATA_CHUNKS
        and metadata_bytes <= _MAX_METADATA_BYTES
        and compressed <= _MAX_COMPRESSED
    ):
        return Structure(data)
    view = memoryview(data)
    return Structure(b"".join(view[start:end] for start, end in needed))
