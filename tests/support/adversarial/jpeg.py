"""JPEG files, and Multi-Picture Format files (MPO)."""

from __future__ import annotations

import struct

from PIL import Image

from .drawing import saved, side_of
from .exif import exif_of_overlapping_values
from .registry import body, repeat


def _grey_jpeg(width: int, height: int, **options: object) -> bytes:
    return saved(Image.new("L", (width, height), 128), "JPEG", **options)


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, 2 + len(content)) + content


def with_segments(jpeg: bytes, segments: bytes) -> bytes:
    """`jpeg` with more segments behind its start."""
    return jpeg[:2] + segments + jpeg[2:]


def jpeg_in_three_scans(width: int, height: int) -> bytes:
    """A grey baseline JPEG with a scan for each component, in the Huffman codes of ITU T.81, annex K.

    libjpeg holds all its coefficients. Sides are multiples of 32.
    """
    whole = saved(Image.new("RGB", (16, 16), (128, 128, 128)), "JPEG", subsampling=0)
    header = bytearray(whole[: whole.index(b"\xff\xda")])
    at = header.index(b"\xff\xc0")
    struct.pack_into(">HH", header, at + 5, height, width)
    blocks = width // 8 * (height // 8)
    # No difference to the block before, and no more coefficients: one code word for each.
    scans = b""
    for component, tables, content in (
        (1, 0x00, int("001010" * 4, 2).to_bytes(3, "big") * (blocks // 4)),
        (2, 0x11, bytes(blocks // 2)),
        (3, 0x11, bytes(blocks // 2)),
    ):
        scans += _segment(0xDA, bytes([1, component, tables, 0, 63, 0])) + content
    return bytes(header) + scans + b"\xff\xd9"


def mpf_segment(pictures: int = 2) -> bytes:
    """The APP2 segment of a Multi-Picture Format file (CIPA DC-007): Pillow then reads it as an MPO."""
    entries = bytes(16 * pictures)
    directory = struct.pack("<H", 3)
    directory += struct.pack("<HHI4s", 0xB000, 7, 4, b"0100")
    directory += struct.pack("<HHII", 0xB001, 4, 1, pictures)
    directory += struct.pack("<HHII", 0xB002, 7, len(entries), 8 + 2 + 3 * 12 + 4)
    return _segment(0xE2, b"MPF\0II*\0" + struct.pack("<I", 8) + directory + bytes(4) + entries)


@body("jpeg-three-scans", "image/jpeg")
def jpeg_three_scans(size: int) -> bytes:
    side = min(side_of(size / 1.75 * 64), 8_900 // 32 * 32)
    return jpeg_in_three_scans(side, side)


@body("mpo-three-scans", "image/jpeg")
def mpo_three_scans(size: int) -> bytes:
    return with_segments(jpeg_three_scans(size), mpf_segment())


@body("mpo-progressive", "image/jpeg")
def mpo_progressive(size: int) -> bytes:
    """Below the limits; the rest of the size is what follows the first picture."""
    return with_segments(_grey_jpeg(2000, 2000, progressive=True), mpf_segment()) + bytes(size)


def jpeg_of_empty_scans(width: int, height: int, scans: int) -> bytes:
    """A progressive JPEG with scans of nothing but their header: each touches all coefficients."""
    whole = _grey_jpeg(width, height, progressive=True)
    scan = _segment(0xDA, bytes([1, 1, 0, 0, 0, 0x10]))
    return whole[:-2] + scan * scans + b"\xff\xd9"


@body("jpeg-empty-scans", "image/jpeg")
def jpeg_empty_scans(size: int) -> bytes:
    return jpeg_of_empty_scans(4000, 4000, max(1, size // 10))


@body("jpeg-empty-scans-small", "image/jpeg")
def jpeg_empty_scans_small(size: int) -> bytes:
    return jpeg_of_empty_scans(256, 256, max(1, size // 10))


@body("jpeg-many-comments", "image/jpeg")
def jpeg_many_comments(size: int) -> bytes:
    return with_segments(_grey_jpeg(64, 64), repeat(_segment(0xFE, b""), size))


@body("jpeg-exif-in-pieces", "image/jpeg")
def jpeg_exif_in_pieces(size: int) -> bytes:
    """A reader that joins them one by one copies all of what it has each time."""
    return with_segments(_grey_jpeg(64, 64), repeat(_segment(0xE1, b"Exif\0\0x"), size))


@body("jpeg-exif-in-large-pieces", "image/jpeg")
def jpeg_exif_in_large_pieces(size: int) -> bytes:
    return with_segments(_grey_jpeg(64, 64), repeat(_segment(0xE1, b"Exif\0\0" + bytes(60_000)), size))


@body("jpeg-photoshop-resources", "image/jpeg")
def jpeg_photoshop_resources(size: int) -> bytes:
    resources = b"8BIM\x04\x04\0\0\0\0\0\0" * 5_000
    return with_segments(_grey_jpeg(64, 64), repeat(_segment(0xED, b"Photoshop 3.0\0" + resources), size))


@body("jpeg-quantization-tables", "image/jpeg")
def jpeg_quantization_tables(size: int) -> bytes:
    tables = (b"\0" + b"\x01" * 64) * 1_000
    return with_segments(_grey_jpeg(64, 64), repeat(_segment(0xDB, tables), size))


@body("jpeg-junk-between-segments", "image/jpeg")
def jpeg_junk_between_segments(size: int) -> bytes:
    return with_segments(_grey_jpeg(64, 64), _segment(0xFE, b"x") + bytes(size))


@body("jpeg-restart-markers", "image/jpeg")
def jpeg_restart_markers(size: int) -> bytes:
    whole = with_segments(_grey_jpeg(2000, 2000), _segment(0xDD, b"\0\x01"))
    return whole[:-2] + repeat(bytes(b for n in range(8) for b in (0xFF, 0xD0 + n)), size) + b"\xff\xd9"


@body("jpeg-without-its-end", "image/jpeg")
def jpeg_without_its_end(size: int) -> bytes:
    """Stuffed bytes behind the last block: a decoder looks for a marker in all of them."""
    return _grey_jpeg(64, 64)[:-2] + repeat(b"\xff\0", size)


@body("jpeg-exif-bomb", "image/jpeg")
def jpeg_exif_bomb(size: int) -> bytes:
    bomb = exif_of_overlapping_values(2_500, 30_000)
    return with_segments(_grey_jpeg(64, 64), _segment(0xE1, bomb)) + bytes(max(0, size - len(bomb)))


def plain_jpeg(size: int) -> bytes:
    """A picture of noise, with as many pixels for its bytes as a photograph: what the others compare with."""
    noise = Image.effect_noise((side := side_of(size * 1.9), side), 60)
    return saved(noise, "JPEG", quality=75)
