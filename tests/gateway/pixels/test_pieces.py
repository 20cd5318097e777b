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
