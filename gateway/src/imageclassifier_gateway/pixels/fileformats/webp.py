"""The chunks of a WebP file (RFC 9649, section 2.7)."""

from __future__ import annotations

from struct import Struct

from .structure import Damaged, Structure

SIGNATURES = (b"RIFF",)

_HEADER_BYTES = 12
_PIXELS = (b"VP8X", b"ALPH", b"VP8 ", b"VP8L", b"ANIM")
_FRAME = b"ANMF"
#: Chunks that may contain the orientation.
_ORIENTED = (b"EXIF", b"XMP ")
_MAX_ORIENTED_BYTES = 64 * 1024
#: `inspect` does one step for each chunk. libwebp takes 40 bytes for each, and reads all frames. An animation
#: of five minutes has 7,500.
_MAX_CHUNKS = 8_000
#: The kind and the length, with which each chunk begins.
_CHUNK_HEAD = Struct("<4sI")
#: If the metadata and the later frames exceed one of these limits, they are removed.
_MAX_OTHER_CHUNKS = 64
_MAX_OTHER_BYTES = 256 * 1024


def inspect(data: bytes) -> Structure:
    """Remove the metadata, and all frames but the first, if they exceed a limit.

    Raises Damaged if there are more chunks than any encoder writes.
    """
    if data[8:12] != b"WEBP":
        return Structure(data)
    needed: list[tuple[int, int]] = []
    seen: set[bytes] = set()
    chunks = others = other_bytes = 0
    at = _HEADER_BYTES
    while at + 8 <= len(data):
        kind, length = _CHUNK_HEAD.unpack_from(data, at)
        end = at + 8 + length + length % 2
        chunks += 1
        if chunks > _MAX_CHUNKS:
            raise Damaged(f"it has more than {_MAX_CHUNKS:,} chunks")
        first = kind not in seen
        seen.add(kind)
        if kind in _PIXELS or (first and kind == _FRAME):
            needed.append((at, end))
        else:
            others += 1
            other_bytes += end - at
            if first and kind in _ORIENTED and length <= _MAX_ORIENTED_BYTES:
                needed.append((at, end))
        at = end
    if others <= _MAX_OTHER_CHUNKS and other_bytes <= _MAX_OTHER_BYTES:
        return Structure(data)
    view = memoryview(data)
    content = b"".join([b"WEBP", *(view[start:end] for start, end in needed)])
    return Structure(b"".join((b"RIFF", len(content).to_bytes(4, "little"), content)))
