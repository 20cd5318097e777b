"""Pixels become the tensor that the model's input takes: type, scale, channels and layout."""

from __future__ import annotations

import io
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from PIL import Image

from imageclassifier_gateway.contract import ModelInput
from imageclassifier_gateway.pixels.tensors import tensor_values

PIXELS = np.random.default_rng(3).integers(0, 256, (2, 5, 4, 3), dtype=np.uint8)


def tensor(pixels: Any = PIXELS, **form: Any) -> Any:
    return tensor_values(pixels, ModelInput(5, 4, **form))


def test_the_input_of_our_own_exports_is_the_pixels_themselves() -> None:
    assert np.shares_memory(tensor(), PIXELS)


def test_a_scale_and_an_offset_are_computed_in_the_type_of_the_tensor() -> None:
    values = tensor(dtype="float32", scale=1 / 127.5, offset=-1.0, channels="bgr")
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, PIXELS[..., ::-1] / 127.5 - 1, atol=1e-6)
    assert (tensor(dtype="float64", scale=1 / 255) == PIXELS * (1 / 255)).all()
    assert tensor(dtype="float16", scale=1 / 255).dtype == np.float16
    assert tensor(dtype="int32").dtype == np.int32


def test_each_channel_can_have_its_own_scale_and_offset() -> None:
    values = tensor(dtype="float32", scale=(1.0, 0.5, 0.25), offset=(0.0, 1.0, 2.0))
    np.testing.assert_allclose(values, PIXELS * np.array([1, 0.5, 0.25]) + np.array([0, 1, 2]))


def test_bfloat16_values_are_rounded_as_tensorflow_rounds_them() -> None:
    values = tensor(dtype="bfloat16", scale=1 / 127.5, offset=-1.0)
    exact = tensor(dtype="float32", scale=1 / 127.5, offset=-1.0)
    assert (values.view("<u2") == exact.astype(ml_dtypes.bfloat16).view("<u2")).all()


def test_gray_is_pillows_luma() -> None:
    for pixels, gray in zip(PIXELS, tensor(channels="gray"), strict=True):
        assert (gray[..., 0] == np.asarray(Image.fromarray(pixels).convert("L"))).all()


@pytest.mark.parametrize(
    ("layout", "channels", "shape"),
    [
        ("NHWC", "rgb", (2, 5, 4, 3)),
        ("NCHW", "rgb", (2, 3, 5, 4)),
        ("NHW", "gray", (2, 5, 4)),
        ("NF", "rgb", (2, 60)),
        ("HWC", "rgb", (5, 4, 3)),
        ("CHW", "rgb", (3, 5, 4)),
        ("HW", "gray", (5, 4)),
    ],
)
def test_the_axes_are_those_of_the_model(layout: str, channels: str, shape: tuple[int, ...]) -> None:
    pixels = PIXELS if "N" in layout else PIXELS[:1]
    values = tensor(pixels, layout=layout, channels=channels)
    assert values.shape == shape
    assert values.flags.c_contiguous
    if "C" in layout and len(layout) == 4:
        assert (values.transpose([layout.index(axis) for axis in "NHWC"]) == PIXELS).all()


@pytest.mark.parametrize(("layout", "shape"), [("N", (2,)), ("N1", (2, 1)), ("scalar", ())])
def test_a_picture_file_for_the_model_has_exactly_the_pixels(layout: str, shape: tuple[int, ...]) -> None:
    pixels = PIXELS if shape else PIXELS[:1]
    values = tensor(pixels, dtype="bytes", layout=layout)
    assert values.shape == shape
    for file, expected in zip(values.ravel(), pixels, strict=True):
        assert (np.asarray(Image.open(io.BytesIO(file))) == expected).all()
