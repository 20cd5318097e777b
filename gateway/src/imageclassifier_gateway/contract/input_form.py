"""Finds the form of a model's input tensor: what the spec leaves out is read from the signature."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .checks import ContractError
from .model_input import DTYPES, FLOAT_DTYPES
from .signature import Shape, Tensor

_COLOURS = ("rgb", "gray")
#: The layouts for a number of axes, in the order in which they are tried.
_OF_RANK = {4: ("NHWC", "NCHW"), 3: ("HWC", "CHW", "NHW"), 2: ("HW", "NF")}
_OF_BYTES = {0: "scalar", 1: "N", 2: "N1"}


def input_form(tensor: Tensor, given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a contract's input that describe its tensor: those in `given`, and those that it lacks.

    Raises ContractError if they contradict the tensor, or if something must be given.
    """
    dtype = _dtype(tensor, given)
    form = {**given, "tensor": tensor.name, "dtype": dtype}
    is_scaled = (given.get("scale", 1.0), given.get("offset", 0.0)) != (1.0, 0.0)
    if is_scaled and dtype not in FLOAT_DTYPES:
        raise ContractError(
            f"The model's input {tensor} takes no floating-point numbers, so its pixels cannot be rescaled. "
            "Remove spec.input.rescaling and spec.input.preprocess."
        )
    if dtype == "bytes":
        return {**form, **_form_of_bytes(tensor, given)}
    found = next(_forms(tensor.shape, given), None)
    if found is None:
        raise ContractError(_misfit(tensor, given))
    return {**form, **found}


def _dtype(tensor: Tensor, given: Mapping[str, Any]) -> str:
    wanted = given.get("dtype")
    if tensor.dtype == "invalid":  # the server does not know it
        return str(wanted or "uint8")
    if tensor.dtype not in DTYPES:
        raise ContractError(
            f"The model's input {tensor} has a type that the gateway cannot send. Export the model with an "
            f"input of one of these types: {', '.join(DTYPES[:-1])}, or string for picture files."
        )
    if wanted not in (None, tensor.dtype):
        raise ContractError(
            f"The model's input {tensor} is not of the type {wanted} in spec.input.dtype. Remove "
            "spec.input.dtype: the gateway reads the type from the model."
        )
    return tensor.dtype


def _form_of_bytes(tensor: Tensor, given: Mapping[str, Any]) -> dict[str, Any]:
    shape = (None,) if tensor.shape is None else tensor.shape
    layout = _OF_BYTES.get(len(shape))
    if layout is None or (layout == "N1" and shape[1] not in (None, 1)):
        raise ContractError(
            f"The model's input {tensor} is not one picture file for each picture. Export the model with an "
            "input of the shape (?)."
        )
    if None in (given.get("height"), given.get("width")):
        raise ContractError(
            f"The model's input {tensor} takes picture files. Set spec.input.height and spec.input.width to "
            "the size to which the model resizes them: the gateway sends PNG files of this size."
        )
    if given.get("channels") == "bgr":
        raise ContractError(
            f"The model's input {tensor} takes picture files, which have no order of channels. Remove "
            "spec.input.channels."
        )
    return {"channels": "rgb", "layout": layout, "batch": shape[0] if shape else 1}


def _forms(shape: Shape, given: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The forms that agree with the shape and the given fields, the most usual first."""
    wanted_layout, wanted_channels = given.get("layout"), given.get("channels")
    if shape is None:
        shape = (None,) * len(wanted_layout or "NHWC")
    for layout in _OF_RANK.get(len(shape), ()):
        if wanted_layout is not None and layout != wanted_layout:
            continue
        for channels in _COLOURS if wanted_channels is None else (wanted_channels,):
            form = _form(shape, layout, channels, given)
            if form is not None:
                yield form


def _form(
    shape: tuple[int | None, ...], layout: str, channels: str, given: Mapping[str, Any]
) -> dict[str, Any] | None:
    """The form of a shape in one layout; None if it does not agree."""
    sizes = dict(zip(layout, shape, strict=True))
    depth = 1 if channels == "gray" else 3
    height, width = given.get("height"), given.get("width")
    if layout == "NF":
        if height is None or width is None or sizes["F"] not in (None, height * width * depth):
            return None
    elif given.get("layout") is None and "C" in sizes and sizes["C"] is None and "N" not in sizes:
        return None  # (?, ?, ?) is a batch of gray pictures and not a picture
    else:
        if sizes.get("C", 1) not in (None, depth):
            return None
        height, width = _agreed(height, sizes["H"]), _agreed(width, sizes["W"])
        if not height or not width:
            return None
    batch = sizes.get("N", 1)
    return {"height": height, "width": width, "channels": channels, "layout": layout, "batch": batch}


def _agreed(given: int | None, size: int | None) -> int | None:
    """The one of two sizes that is known; None if none is, or if they differ."""
    if given is None or size is None:
        return given or size
    return given if given == size else None


def _misfit(tensor: Tensor, given: Mapping[str, Any]) -> str:
    """Why no form agrees, and what to do."""
    pictures = f"The model's input {tensor}"
    sizes = {key: value for key, value in given.items() if key not in ("height", "width")}
    if any(_forms(tensor.shape, {**sizes, "height": 1, "width": 1})):
        return (
            f"{pictures} takes pictures of any size. Set spec.input.height and spec.input.width to the size "
            "with which the model was trained."
        )
    fixed = next(_forms(tensor.shape, sizes), None) or next(_forms(tensor.shape, {**given, **_ANY}), None)
    if fixed is None:
        flat = " If it takes all pixels in one axis, set spec.input.height and spec.input.width."
        return (
            f"{pictures} does not take pictures: the gateway sends (pictures, height, width, channels) with "
            "1 or 3 channels, also with the channels first, without the channels or without the pictures."
            + (flat if tensor.shape is not None and len(tensor.shape) == 2 else "")
        )
    for key in ("channels", "layout"):
        if given.get(key) not in (None, fixed[key]):
            return (
                f"{pictures} does not agree with spec.input.{key}, which is {given[key]}. Remove "
                f"spec.input.{key} "
                f"(the gateway then uses {fixed[key]}), or correct it."
            )
    return (
        f"{pictures} takes pictures of {fixed['height']} x {fixed['width']} pixels, but spec.input says "
        f"{given.get('height')} x {given.get('width')}. Remove spec.input.height and spec.input.width: the "
        "gateway reads them from the model."
    )


_ANY: Mapping[str, Any] = {"channels": None, "layout": None}
