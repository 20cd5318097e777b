"""`images` turns any input into the pixels that a model expects, or raises an error with the reason."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import subprocess
import sys
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imageclassifier_gateway.contract import FITS, RESIZES, Decoding, ModelInput
from imageclassifier_gateway.pixels.images import (
    BrokenPicture,
    Limits,
    NotAPicture,
    PictureError,
    PictureTooLarge,
    UnsupportedPicture,
    decode,
    prepare,
)
from imageclassifier_training.exporting.golden_photograph import wide_gamut_profile

VECTORS = Path(__file__).parent / "image_vectors"
EXPECTED: dict[str, dict[str, str]] = json.loads((VECTORS / "vectors.json").read_text())
SMALL = ModelInput(height=24, width=24)
SRGB = replace(SMALL, decode=Decoding(profile="srgb"))


@pytest.mark.parametrize("size", [(12_000, 9_000), (12_240, 16_320)])
def test_a_photograph_of_a_phone_with_200_megapixels_is_decoded_at_a_reduced_scale(
    size: tuple[int, int],
) -> None:
    halves = Image.new("L", size, 255)
    halves.paste(0, (0, 0, size[0] // 2, size[1]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pixels = prepare(encoded(halves, "JPEG"), SMALL)
    assert pixels[:, :10].max() < 10
    assert pixels[:, 14:].min() > 245


def test_a_large_photograph_that_must_be_decoded_whole_is_refused() -> None:
    large = Image.new("L", (12_000, 9_000), 255)
    for data in (encoded(large, "JPEG", progressive=True), encoded(large, "PNG")):
        with pytest.raises(PictureTooLarge, match="can be decoded at once"):
            prepare(data, SMALL)


def encoded(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def plain(colour: tuple[int, ...], mode: str = "RGB", size: tuple[int, int] = (30, 20)) -> Image.Image:
    return Image.new(mode, size, colour)


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims to be that large, and holds next to nothing."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"\0" * 100)
    chunks = [
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        for chunk in (header, data, b"IEND")
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_kept_picture_gives_the_same_pixels_bit_for_bit_as_when_models_were_trained(name: str) -> None:
    data = (VECTORS / name).read_bytes()
    for case, expected in EXPECTED[name].items():
        size, fit, resize, *decode = case.split(" ", 3)
        height, width = map(int, size.split("x"))
        decoding = Decoding(**json.loads(decode[0])) if decode else Decoding()
        wanted = ModelInput(height=height, width=width, resize=resize, fit=fit, decode=decoding)
        pixels = prepare(data, wanted)
        assert pixels.shape == (height, width, 3)
        assert pixels.dtype == np.uint8
        assert hashlib.sha256(pixels.tobytes()).hexdigest() == expected, case


def test_every_kept_picture_has_its_pixels_written_down_and_the_other_way_round() -> None:
    assert {each.name for each in VECTORS.iterdir()} - {"vectors.json"} == set(EXPECTED)


def test_each_way_to_prepare_the_kept_photograph_gives_other_pixels() -> None:
    for resize in RESIZES:
        ways = [way for case, way in EXPECTED["photograph.jpg"].items() if f" {resize} " in case]
        assert len(set(ways)) == len(ways) == 6


def test_colours_of_a_picture_with_a_profile_are_converted_only_if_the_contract_says_so() -> None:
    green = encoded(plain((0, 200, 0)), icc_profile=wide_gamut_profile())
    assert (prepare(green, SMALL) == (0, 200, 0)).all()
    converted = prepare(green, SRGB)
    # Green of Display P3 is outside of sRGB: less red and blue than none, so more green.
    assert (converted[..., 1] > 200).all()
    assert (converted[..., ::2] < 10).all()
    white = encoded(plain((255, 255, 255)), icc_profile=wide_gamut_profile())
    assert (prepare(white, SRGB) >= 254).all()


def test_black_borders_and_white_behind_transparent_pixels_keep_their_colours() -> None:
    picture = encoded(plain((9, 9, 9, 0), "RGBA", (40, 20)), icc_profile=wide_gamut_profile())
    pixels = prepare(picture, replace(SRGB, fit="pad"))
    assert (pixels[:6] == 0).all()
    assert (pixels[6:18] >= 254).all()


@pytest.mark.parametrize(
    "profile",
    [b"", b"no profile", wide_gamut_profile()[:200], wide_gamut_profile() + bytes(16 * 1024)]
    + [wide_gamut_profile().replace(b"RGB ", space) for space in (b"CMYK", b"GRAY")],
)
def test_a_profile_that_cannot_be_used_is_ignored(profile: bytes) -> None:
    picture = encoded(plain((0, 200, 0)), icc_profile=profile)
    assert (prepare(picture, SRGB) == (0, 200, 0)).all()


@pytest.mark.parametrize(("margin", "size"), [(2.0, (400, 300)), (1.33, (200, 150)), (0.85, (100, 75))])
def test_a_jpeg_is_decoded_at_the_smallest_scale_that_leaves_the_margin(
    margin: float, size: tuple[int, int]
) -> None:
    wanted = ModelInput(height=80, width=110, decode=Decoding(margin=margin))
    assert decode(encoded(plain((1, 2, 3), size=(400, 300)), "JPEG"), wanted).size == size


def test_the_eight_orientations_all_show_the_same_upright_picture() -> None:
    upright = prepare((VECTORS / "orientation1.jpg").read_bytes(), ModelInput(height=40, width=60)).astype(
        int
    )
    stored = Image.fromarray(upright.astype(np.uint8))
    for orientation, turn in enumerate(
        (
            None,
            Image.Transpose.FLIP_LEFT_RIGHT,
            Image.Transpose.ROTATE_180,
            Image.Transpose.FLIP_TOP_BOTTOM,
            Image.Transpose.TRANSPOSE,
            Image.Transpose.ROTATE_90,
            Image.Transpose.TRANSVERSE,
            Image.Transpose.ROTATE_270,
        ),
        start=1,
    ):
        exif = Image.Exif()
        exif[0x0112] = orientation
        turned = stored if turn is None else stored.transpose(turn)
        pixels = prepare(encoded(turned, exif=exif), ModelInput(height=40, width=60))
        assert (pixels == upright).all(), orientation


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF", "WEBP", "JPEG", "AVIF", "HEIF"])
def test_a_plain_colour_survives_every_format(kind: str) -> None:
    pixels = prepare(encoded(plain((200, 100, 50)), kind), SMALL)
    assert np.abs(pixels.astype(int) - (200, 100, 50)).max() <= 4


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (plain((0, 0, 0, 0), "RGBA"), 255),
        (plain((0, 128), "LA"), 127),
        (plain((0, 0, 0, 255), "RGBA"), 0),
    ],
)
def test_what_shows_through_is_white(picture: Image.Image, expected: int) -> None:
    assert np.abs(prepare(encoded(picture), SMALL).astype(int) - expected).max() <= 1


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    half = Image.fromarray(np.full((20, 20), 0x8000, dtype=np.uint16))
    assert (prepare(encoded(half), SMALL) == 0x80).all()


def test_cmyk_becomes_rgb() -> None:
    pixels = prepare(encoded(plain((0, 255, 255, 0), "CMYK"), "TIFF"), SMALL)
    assert (pixels == (255, 0, 0)).all()


def test_only_the_first_frame_counts() -> None:
    frames = [plain((0, 0, 255)), plain((255, 0, 0))]
    for kind in ("GIF", "WEBP", "TIFF", "PNG"):
        options = {"lossless": True} if kind == "WEBP" else {}
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        assert (prepare(data, SMALL) == (0, 0, 255)).all(), kind


def test_a_large_jpeg_decoded_at_reduced_scale_matches_a_full_decode_and_resize() -> None:
    y, x = np.mgrid[0:1600, 0:2400]
    waves = np.stack([127 + 120 * np.sin(x / 90), 127 + 120 * np.sin(y / 70), (x + y) / 16], axis=-1)
    picture = Image.fromarray(waves.astype(np.uint8))
    for fit in FITS:
        wanted = ModelInput(height=96, width=96, fit=fit)
        reduced = prepare(encoded(picture, "JPEG", quality=95), wanted).astype(int)
        whole = prepare(encoded(picture, "PNG"), wanted).astype(int)
        assert np.abs(reduced - whole).mean() < 1.5, fit


def test_crop_cuts_the_centre_and_pad_adds_black_around() -> None:
    picture = plain((255, 255, 255), size=(60, 20))
    picture.paste((255, 0, 0), (20, 0, 40, 20))
    assert (prepare(encoded(picture), ModelInput(20, 20, resize="nearest", fit="crop")) == (255, 0, 0)).all()
    padded = prepare(encoded(picture), ModelInput(60, 60, resize="nearest", fit="pad"))
    assert (padded[:20] == 0).all()
    assert (padded[40:] == 0).all()
    assert (padded[20:40] == np.asarray(picture)).all()


@settings(deadline=None)
@given(
    width=st.integers(1, 400),
    height=st.integers(1, 400),
    resize=st.sampled_from(RESIZES),
    fit=st.sampled_from(FITS),
)
def test_every_shape_fits_every_way(width: int, height: int, resize: str, fit: str) -> None:
    data = encoded(plain((10, 20, 30), size=(width, height)))
    pixels = prepare(data, ModelInput(height=17, width=31, resize=resize, fit=fit))
    assert pixels.shape == (17, 31, 3)
    assert (pixels == (10, 20, 30)).all(axis=-1).any()


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "empty"),
        (b"hello", "not a picture"),
        (b"<!doctype html><title>Not found</title>", "HTML"),
        (b"%PDF-1.7", "PDF"),
        (b"GIF89a", "damaged|not a picture"),
    ],
)
def test_a_file_that_is_not_an_image_gives_a_readable_error(data: bytes, sentence: str) -> None:
    with pytest.raises(PictureError, match=sentence):
        prepare(data, SMALL)


def test_a_format_that_is_not_on_the_list_reaches_no_decoder() -> None:
    for kind in ("PPM", "TGA", "ICO", "PCX"):
        with pytest.raises(NotAPicture):
            prepare(encoded(plain((1, 2, 3)), kind), SMALL)


@pytest.mark.parametrize(
    "name", ["rgb.png", "rgb.jpg", "lossy.webp", "lzw.tiff", "rgb.bmp", "rgb.avif", "rgb.heic"]
)
def test_half_a_picture_is_broken_not_half_grey(name: str) -> None:
    data = (VECTORS / name).read_bytes()
    with pytest.raises((BrokenPicture, NotAPicture)):
        prepare(data[: len(data) // 2], SMALL)


def test_pixels_without_a_defined_white_are_refused() -> None:
    fractions = Image.fromarray(np.linspace(0, 1, 400, dtype=np.float32).reshape(20, 20))
    with pytest.raises(UnsupportedPicture, match="32-bit"):
        prepare(encoded(fractions, "TIFF"), SMALL)


def test_too_many_bytes_are_refused_before_decoding() -> None:
    with pytest.raises(PictureTooLarge, match="11 bytes; at most 10"):
        prepare(b"no picture!", SMALL, Limits(max_bytes=10))


@pytest.mark.parametrize(("width", "height"), [(30_000, 30_000), (10_000, 9_000), (2**31 - 1, 2**31 - 1)])
def test_a_bomb_is_refused_by_its_header_in_a_small_process(width: int, height: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(PictureTooLarge, match="pixels"):
            prepare(png_header(width, height), SMALL)


def test_a_large_baseline_jpeg_is_read_at_reduced_scale_where_a_png_of_that_size_is_refused() -> None:
    picture = plain((9, 9, 9), size=(800, 600))
    limits = Limits(max_decoded_pixels=100_000)
    assert (prepare(encoded(picture, "JPEG"), SMALL, limits) == 9).all()
    for refused in (encoded(picture, "PNG"), encoded(picture, "JPEG", progressive=True)):
        with pytest.raises(PictureTooLarge, match="800 x 600"):
            prepare(refused, SMALL, limits)


def test_damaged_exif_data_does_not_cost_a_whole_picture() -> None:
    data = encoded(plain((50, 60, 70)), "JPEG", quality=100, exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert prepare(data, SMALL).shape == (24, 24, 3)


@settings(deadline=None)
@given(st.sampled_from(sorted(EXPECTED)), st.integers(0, 10**9), st.binary(min_size=1, max_size=8))
def test_flipped_bytes_give_pixels_or_a_sentence_and_nothing_else(name: str, where: int, put: bytes) -> None:
    data = bytearray((VECTORS / name).read_bytes())
    start = where % len(data)
    data[start : start + len(put)] = put
    try:
        pixels = prepare(bytes(data), SMALL)
    except PictureError as error:
        sentence = str(error)
    else:
        sentence = "."
        assert pixels.shape == (24, 24, 3)
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_threads_do_not_disturb_one_another() -> None:
    names = sorted(set(EXPECTED) - {"photograph.jpg"}) * 8
    with ThreadPoolExecutor(8) as threads:
        pixels = threads.map(lambda name: prepare((VECTORS / name).read_bytes(), SMALL), names)
        for name, found in zip(names, pixels, strict=True):
            assert hashlib.sha256(found.tobytes()).hexdigest() == EXPECTED[name]["24x24 squash bilinear"]


def test_threads_convert_colours_independently() -> None:
    files = [encoded(plain((0, green, 0)), icc_profile=wide_gamut_profile()) for green in range(0, 250, 10)]
    expected = [prepare(file, SRGB).tobytes() for file in files]
    with ThreadPoolExecutor(8) as threads:
        found = threads.map(lambda file: prepare(file, SRGB).tobytes(), files * 8)
        assert list(found) == expected * 8


def test_neither_contract_nor_images_imports_more_than_numpy_and_pillow() -> None:
    script = (
        "import sys, imageclassifier_gateway.pixels.images\n"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'tensorflow', 'grpc', 'flask', 'keras'}))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
