"""The segments of a JPEG file (ITU T.81, annex B)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from .structure import Damaged, Structure, TooCostly, Unsupported

SIGNATURES = (b"\xff\xd8\xff",)

_EOI, _SOS, _DQT, _DHT, _APP1 = 0xD9, 0xDA, 0xDB, 0xC4, 0xE1
#: Baseline, extended and progressive, each with Huffman coding.
_FRAMES = (0xC0, 0xC1, 0xC2)
_PROGRESSIVE = 0xC2
#: No browser shows these kinds. Pillow reads lossless files only without a reduced scale, and arithmetic
#: coding only in files below 64 KB. With that coding, blocks take hardly any bytes, but ten times the time: a
#: progressive file of 790 bytes took 0.9 s of CPU time for 13 megapixels.
_UNSUPPORTED = {
    0xC3: "lossless compression",
    **dict.fromkeys((0xC5, 0xC6, 0xC7), "hierarchical frames"),
    **dict.fromkeys((0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF), "arithmetic coding"),
}
_WITHOUT_LENGTH = (0x01, 0xD8)
#: The next marker. In the data of a scan, FF 00 is a byte of 255 and FF D0 to FF D7 separate its intervals.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
_JFIF, _ADOBE = 0xE0, 0xEE
_METADATA = (*range(0xE0, 0xF0), 0xFE)
_ORIENTED = (b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0")

#: A file has tens of segments, and hundreds with a depth map or a long colour profile.
_MAX_SEGMENTS = 4_000
#: Pillow turns the tables before the first scan into Python objects. A file has about 1,000 bytes of them.
_MAX_TABLE_BYTES = 64 * 1024
#: If the metadata exceeds one of these limits, it is removed.
_MAX_METADATA_SEGMENTS = 64
_MAX_METADATA_BYTES = 256 * 1024
#: libjpeg takes 10 ns for a block in a scan even if the scan is empty, and 10 us for each scan. Encoders
#: write up to 18 scans: 28 million blocks for 25 megapixels of CMYK.
_MAX_SCANS = 1_000
_MAX_BLOCKS = 50_000_000


@dataclass
class _Walk:
    """The result of a walk through the segments."""

    size: tuple[int, int] | None = None
    blocks: int = 0
    components: int = 0
    progressive: bool = False
    several_scans: bool = False
    scans: int = 0
    table_bytes: int = 0
    metadata: int = 0
    metadata_bytes: int = 0
    #: The start and end of each part that a decoder needs.
    needed: list[tuple[int, int]] = field(default_factory=list)


def inspect(data: bytes) -> Structure:
    """Remove the metadata if it exceeds a limit.

    Raises TooCostly for too many scans, Damaged for more segments or tables than any encoder writes, and
    Unsupported for kinds of JPEG that hardly any program writes.
    """
    walk = _Walk(needed=[(0, 2)])
    start = _first_scan(data, walk)
    if walk.several_scans:
        _count_scans(data, start, walk)
    if walk.metadata > _MAX_METADATA_SEGMENTS or walk.metadata_bytes > _MAX_METADATA_BYTES:
        view = memoryview(data)
        data = b"".join([*(view[begin:end] for begin, end in walk.needed), view[start:]])
    return Structure(data, walk.size, walk.several_scans)


def _first_scan(data: bytes, walk: _Walk) -> int:
    """Walk to the header of the first scan. Returns its offset, or the end of the file."""
    at = 2
    for _ in range(_MAX_SEGMENTS):
        found = _MARKER.search(data, at)
        if found is None:
            return len(data)
        if found.start() > at:  # decoders skip the bytes between segments one by one
            walk.metadata += 1
            walk.metadata_bytes += found.start() - at
        marker = data[found.start() + 1]
        if marker in _WITHOUT_LENGTH:
            at = found.end()
            continue
        content, end = (
            found.end() + 2,
            found.end() + int.from_bytes(data[found.end() : found.end() + 2], "big"),
        )
        if marker == _EOI or end < content:
            return found.start()
        if marker == _SOS:
            walk.several_scans = walk.progressive or data[content : content + 1] < bytes([walk.components])
            return found.start()
        _note(data, marker, (found.start(), content, end), walk)
        at = end
    raise Damaged(f"it has more than {_MAX_SEGMENTS:,} segments")


def _note(data: bytes, marker: int, place: tuple[int, int, int], walk: _Walk) -> None:
    start, content, end = place
    if marker in _UNSUPPORTED:
        raise Unsupported(f"is a JPEG with {_UNSUPPORTED[marker]}. Save it as a baseline JPEG.")
    if marker in _FRAMES:
        height, width = (int.from_bytes(data[content + n : content + n + 2], "big") for n in (1, 3))
        walk.size = (width, height)
        walk.components = int.from_bytes(data[content + 5 : content + 6], "big")
        walk.progressive = marker == _PROGRESSIVE
        # An upper bound: most files have fewer samples for colour than for brightness.
        walk.blocks = -(-width // 8) * -(-height // 8) * walk.components
    if marker in (_DQT, _DHT):
        walk.table_bytes += end - content
        if walk.table_bytes > _MAX_TABLE_BYTES:
            raise Damaged(f"its tables exceed {_MAX_TABLE_BYTES:,} bytes")
    if marker in _METADATA and marker not in (_JFIF, _ADOBE):
        walk.metadata += 1
        walk.metadata_bytes += end - start
        if marker != _APP1 or not data.startswith(_ORIENTED, content) or _has_oriented(data, content, walk):
            return
    walk.needed.append((start, end))


def _has_oriented(data: bytes, content: int, walk: _Walk) -> bool:
    """Whether a segment of the same kind is already kept. EXIF data fits into one segment."""
    kind = data[content : content + 6]
    return any(data[begin + 4 : begin + 10] == kind for begin, _ in walk.needed)


def _count_scans(data: bytes, at: int, walk: _Walk) -> None:
    while found := _MARKER.search(data, at):
        marker = data[found.start() + 1]
        if marker == _EOI:
            return
        at = found.end()
        if marker not in _WITHOUT_LENGTH:
            at += int.from_bytes(data[at : at + 2], "big")
        if marker == _SOS:
            walk.scans += 1
            if walk.scans > _MAX_SCANS or walk.scans * walk.blocks > _MAX_BLOCKS:
                raise TooCostly(
                    f"has more than {walk.scans - 1:,} scans, and a decoder processes all {walk.blocks:,} "
                    "blocks of 8 x 8 samples for each scan. Save it as a baseline JPEG."
                )
