"""A costly picture is decoded in pieces, with the same pixels, and nothing of it stays in memory."""

from __future__ import annotations

import gc
import io
import weakref

import numpy as np
import pytest
from PIL import Image

from imageclassifier_gateway.contract import ModelInput
from imageclassifier_gateway.pixels import images, pieces

WANTED = ModelInput(height=64, width=64)


def png(mode: str) -> bytes:
    shape = (700, 500, len(Image.new(mode, (1, 1)).getbands()))
    pixels = np.random.default_rng(5).integers(0, 256, shape, np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels.squeeze(), mode).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_a_picture_in_pieces_has_the_same_pixels_and_pauses_between_them(mode: str) -> None:
    pauses: list[None] = []
    data = png(mode)
    in_pieces = images.prepare(data, WANTED, pause=lambda: pauses.append(None))
    assert np.array_equal(in_pieces, images.prepare(data, WANTED))
    assert len(pauses) >= len(data) // 4096


@pytest.mark.parametrize("format_", ["AVIF", "WEBP"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_the_pixels_of_formats_that_decode_in_one_call_are_copied_in_pieces(format_: str, mode: str) -> None:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(png(mode))).resize((1500, 1100)).save(buffer, format_)
    pauses: list[None] = []
    in_pieces = images.prepare(buffer.getvalue(), WANTED, pause=lambda: pauses.append(None))
    assert np.array_equal(in_pieces, images.prepare(buffer.getvalue(), WANTED))
    assert len(pauses) >= 1500 * 1100 * len(mode) // pieces.COPIED_PIECE_BYTES


def test_a_damaged_picture_is_damaged_in_pieces_too() -> None:
    data = png("RGB")
    with pytest.raises(images.BrokenPicture):
        images.prepare(data[: len(data) // 2], WANTED, pause=lambda: None)


def test_the_pixels_are_freed_without_waiting_for_the_garbage_collection() -> None:
    gc.disable()
    try:
        picture = Image.open(io.BytesIO(png("RGB")))
        pieces.load(picture, lambda: None)
        gone = weakref.ref(picture)
        del picture
        assert gone() is None
    finally:
        gc.enable()
