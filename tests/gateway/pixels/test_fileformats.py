"""A file with much metadata gives the same pixels as one with little; a costly one is refused."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from adversarial import (
    BODIES,
    bmp_of_runs,
    exif_of_overlapping_values,
    jpeg_of_empty_scans,
    mpf_segment,
    tiff_of_tiles,
    with_segments,
)
from heif_boxes import Item, box, coded, file, grid, overlay
from PIL import Image

from imageclassifier_gateway.pixels import images
from imageclassifier_gateway.pixels.fileformats import inspect

VECTORS = Path(__file__).parent / "image_vectors"


def exif(orientation: int) -> Image.Exif:
    data = Image.Exif()
    data[0x0112] = orientation
    return data


def sideways(kind: str, **options: object) -> bytes:
    """A picture that its Exif data turn, wider than high as it is stored."""
    pixels = np.random.default_rng(5).integers(0, 256, (24, 40, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, exif=exif(6), **options)
    return buffer.getvalue()


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, 2 + len(content)) + content


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def with_much_metadata(data: bytes) -> bytes:
    """The same picture with half a megabyte of metadata and a hundred pieces of it."""
    if data[:2] == b"\xff\xd8":
        at = 2 + 2 + int.from_bytes(data[4:6], "big")  # behind the first segment: JFIF, which comes first
        depth_map = segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + bytes(50_000)) * 10
        return data[:at] + mpf_segment() + depth_map + segment(0xFE, b"comment") * 100 + data[at:]
    if data[:4] == b"\x89PNG":
        text = chunk(b"iTXt", b"Comment\0\0\0\0\0" + bytes(50_000)) * 10
        return data[:33] + text + chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"x")) * 100 + data[33:]
    if data[:3] == b"GIF":
        at = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
        return (
            data[:at] + b"!\xfe" + (b"\xff" + bytes(255)) * 2_000 + b"\0" + b"!\xfe\x01x\0" * 100 + data[at:]
        )
    assert data[8:12] == b"WEBP"
    junk = b"junk" + struct.pack("<I", 50_000) + bytes(50_000)
    content = data[8:] + junk * 10 + (b"junk" + bytes(4)) * 100
    return b"RIFF" + struct.pack("<I", len(content)) + content


LEAN_KINDS = {".jpg", ".png", ".gif", ".webp"}


@pytest.mark.parametrize("name", sorted(each.name for each in VECTORS.iterdir() if each.suffix in LEAN_KINDS))
def test_metadata_that_is_left_out_changes_no_pixel(name: str) -> None:
    data = (VECTORS / name).read_bytes()
    much = with_much_metadata(data)
    assert len(inspect(much).data) < len(data) + 1_000
    assert images.decode(much).tobytes() == images.decode(data).tobytes()


@pytest.mark.parametrize(
    "data",
    [sideways("JPEG"), sideways("JPEG", progressive=True), sideways("PNG"), sideways("WEBP")],
    ids=["JPEG", "progressive JPEG", "PNG", "WebP"],
)
def test_a_picture_is_turned_by_its_exif_data_also_where_metadata_is_left_out(data: bytes) -> None:
    much = with_much_metadata(data)
    assert len(inspect(much).data) < len(much) - 400_000
    assert images.decode(much).size == (24, 40)
    assert images.decode(much).tobytes() == images.decode(data).tobytes()


def test_a_jpeg_is_turned_by_its_xmp_packet_where_it_has_no_exif_data() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 24)).save(buffer, "JPEG")
    packet = segment(0xE1, b'http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation="6"/>')
    data = with_much_metadata(buffer.getvalue())
    assert images.decode(with_segments(data, packet)).size == (24, 40)


@pytest.mark.parametrize("kind", ["WEBP", "GIF", "PNG"])
def test_of_a_long_animation_the_first_frame_is_decoded(kind: str) -> None:
    noise = np.random.default_rng(7)
    frames = [Image.fromarray(noise.integers(0, 256, (64, 64, 3), np.uint8)) for _ in range(80)]
    short, long = io.BytesIO(), io.BytesIO()
    options = {"lossless": True} if kind == "WEBP" else {}
    frames[0].save(short, kind, save_all=True, append_images=frames[1:2], **options)
    frames[0].save(long, kind, save_all=True, append_images=frames[1:], **options)
    assert images.decode(long.getvalue()).tobytes() == images.decode(short.getvalue()).tobytes()


def test_an_ordinary_file_is_passed_on_without_a_copy() -> None:
    for path in VECTORS.iterdir():
        data = path.read_bytes()
        assert inspect(data).data is data


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (jpeg_of_empty_scans(2000, 2000, 1000), "all 62,500 blocks of 8 x 8 samples"),
        (jpeg_of_empty_scans(16, 16, 1200), "more than 1,000 scans"),
        (with_segments(jpeg_of_empty_scans(2000, 2000, 1000), mpf_segment()), "as a baseline JPEG"),
        (BODIES["tiff-many-strips"](1_000_000).data, "Save it with larger ones"),
        (tiff_of_tiles(1, 100_000, 1024), "Save it with smaller tiles"),
        (bmp_of_runs(1_000, 1_000, b""), "Save it as PNG or JPEG"),
    ],
    ids=["scans", "scans of a tiny picture", "scans of an MPO", "strips", "tiles", "runs"],
)
def test_a_picture_that_would_take_long_is_refused_with_what_to_do(data: bytes, sentence: str) -> None:
    with pytest.raises(images.PictureTooLarge, match=sentence):
        images.decode(data)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("jpeg-many-comments", "more than 4,000 segments"),
        ("jpeg-quantization-tables", "tables exceed 65,536 bytes"),
        ("png-many-chunks", "more than 20,000 chunks"),
        ("gif-many-comments", "more than 20,000 blocks"),
        ("webp-many-chunks", "more than 8,000 chunks"),
        ("heic-many-boxes", "more than 4,096 boxes"),
        ("tiff-overlapping-values", "a directory has 41,6"),
        ("tiff-numbers", "tag 282 has 125,000 values"),
        ("avif-larger-than-announced", "two different sizes"),
        ("avif-grid-larger-than-announced", "two different sizes"),
        ("avif-many-units", "more than 64 parts"),
        ("avif-overlapping-parts", "share their data"),
        ("avif-many-parts", "more than 4,096 parts"),
        ("avif-many-images", "more than 4,096 boxes"),
        ("avif-reference-boxes", "name images more than 8,192 times"),
        ("avif-many-associations", "more than 65,536 properties"),
    ],
)
def test_a_file_that_no_program_writes_is_refused_as_damaged(name: str, sentence: str) -> None:
    with pytest.raises(images.BrokenPicture, match=sentence):
        images.decode(BODIES[name](1_000_000).data)


@pytest.mark.parametrize(
    "name", ["heic-grid-of-one-tile", "heic-rotations", "heic-nested-grids", "avif-grid-of-one-tile"]
)
def test_a_file_that_has_the_same_pixels_decoded_again_and_again_is_refused(name: str) -> None:
    """Files of at most 10 KB that keep a decoder busy for up to minutes."""
    with pytest.raises(images.PictureTooLarge, match="its tiles or rotations repeat"):
        images.decode(BODIES[name](0).data)


@pytest.mark.parametrize(
    "data",
    [
        file([grid(8, 8, (2048, 2048), [*range(2, 66)]), *[coded(256, 256)] * 64]),
        file([grid(3, 3, (600, 600), [2] * 9), coded(256, 256)]),
        file([grid(31, 31, (1984, 1984), [*range(2, 963)]), *[coded(64, 64)] * 961]),
        file([Item(b"iden", b"", (64, 64), [box(b"irot", b"\1")], [2]), coded(64, 64)]),
    ],
    ids=["grid", "grid that repeats a tile", "grid of as many tiles as libheif reads", "rotation"],
)
def test_a_heic_image_that_is_derived_from_others_is_read(data: bytes) -> None:
    assert images.decode(data).mode == "RGB"


def test_a_heic_overlay_is_refused_since_its_data_may_ask_for_gigabytes() -> None:
    """475 bytes took 1.2 GB: libheif allocates the size in the data, and then compares it with the item's."""
    lying = replace(overlay((20_000, 20_000), [2]), size=(64, 64))
    with pytest.raises(images.PictureTooLarge, match="an image of type 'iovl'"):
        images.decode(file([lying, coded(64, 64)]))
    with pytest.raises(images.PictureTooLarge, match="an image of type 'iovl'"):
        images.decode(file([grid(1, 1, (64, 64), [2]), lying, coded(64, 64)]))


def test_a_heic_file_with_an_image_of_no_size_is_refused() -> None:
    unsized = replace(coded(64, 64), size=None)
    with pytest.raises(images.BrokenPicture, match="an image in it has no size"):
        images.decode(file([grid(1, 1, (64, 64), [2]), unsized]))


@pytest.mark.parametrize("kind", [b"meta", b"pitm", b"iprp", b"ipco"])
def test_a_heic_file_with_two_boxes_where_decoders_expect_one_is_refused(kind: bytes) -> None:
    whole = file([coded(64, 64)])
    at = whole.index(kind) - 4
    size = int.from_bytes(whole[at : at + 4], "big")
    again = bytearray(whole[: at + size] + whole[at : at + size] + whole[at + size :])
    for outer in (b"meta", b"iprp"):
        start = whole.index(outer) - 4
        if start < at and kind != outer:
            length = int.from_bytes(again[start : start + 4], "big") + size
            again[start : start + 4] = length.to_bytes(4, "big")
    with pytest.raises(images.BrokenPicture, match=f"two '{kind.decode()}' boxes"):
        images.decode(bytes(again))


@pytest.mark.parametrize("length", range(0, 260, 7))
def test_a_truncated_heic_file_is_reported_as_damaged(length: int) -> None:
    with pytest.raises((images.BrokenPicture, images.NotAPicture)):
        images.decode(file([coded(64, 64)])[: 12 + length])


def test_exif_data_of_too_many_entries_do_not_turn_a_picture() -> None:
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 8, 0, 0, 0, 0))
    data += chunk(b"eXIf", exif_of_overlapping_values(4_000, 8)[6:])
    data += chunk(b"IDAT", zlib.compress(bytes(3))) + chunk(b"IEND", b"")
    assert images.decode(data).size == (2, 1)


def test_a_jpeg_whose_frame_is_read_in_two_ways_is_refused() -> None:
    """Pillow takes FF DE for the header of a frame, libjpeg does not."""
    buffer = io.BytesIO()
    Image.new("L", (64, 64)).save(buffer, "JPEG")
    data = buffer.getvalue()
    at = data.index(b"\xff\xda")
    other = segment(0xDE, struct.pack(">BHHB3s", 8, 16, 16, 1, b"\x01\x11\x00"))
    with pytest.raises(images.BrokenPicture, match="two different sizes"):
        images.decode(data[:at] + other + data[at:])


@pytest.mark.parametrize(
    ("marker", "kind"),
    [(0xC3, "lossless"), (0xC5, "hierarchical"), (0xC9, "arithmetic"), (0xCA, "arithmetic")],
)
def test_a_jpeg_of_a_kind_that_no_browser_shows_is_refused_with_its_name(marker: int, kind: str) -> None:
    buffer = io.BytesIO()
    Image.new("L", (64, 64)).save(buffer, "JPEG")
    data = buffer.getvalue().replace(b"\xff\xc0", bytes([0xFF, marker]))
    with pytest.raises(images.UnsupportedPicture, match=f"JPEG with {kind}.* Save it as a baseline JPEG"):
        images.decode(data)


def test_a_small_arithmetic_jpeg_on_which_libjpeg_would_work_for_a_second_is_refused() -> None:
    """Blocks take hardly any bytes: cjpeg writes a scan of 205,000 blocks in 19 bytes."""
    head = segment(0xDB, bytes([0, *[1] * 64])) + segment(
        0xCA, struct.pack(">BHHB", 8, 3_200, 4_096, 1) + b"\1\x11\0"
    )
    scan = segment(0xDA, b"\1\1\0\0\0\0") + bytes.fromhex("ff00f83d0e7d80")
    with pytest.raises(images.UnsupportedPicture, match="arithmetic coding"):
        images.decode(b"\xff\xd8" + head + segment(0xCC, b"\x00\x10") + 40 * scan + b"\xff\xd9")


def test_importing_the_preparation_leaves_the_warning_filters_alone() -> None:
    script = """
import numpy, PIL.Image, pillow_heif, warnings
before = warnings.filters[:]
import imageclassifier_gateway.pixels.images
assert warnings.filters == before
"""
    subprocess.run([sys.executable, "-c", script], check=True)
