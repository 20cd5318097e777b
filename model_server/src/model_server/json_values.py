"""JSON values -> numpy arrays, and bytes as `{"b64": "..."}`.

A regular list of numbers becomes an array in one go. Only if that fails, each value is checked, to name the
wrong one. Rules and messages follow TensorFlow Serving's json_tensor.cc.
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .status import StatusError, invalid_argument
from .tensors import Array, dtype_name, numpy_dtype

_SHOWN_BYTES = 256


def is_base64_object(value: object) -> bool:
    """Whether a JSON value is `{"b64": "..."}`, which stands for bytes."""
    return isinstance(value, dict) and value.keys() == {"b64"} and isinstance(value["b64"], str)


def decode_base64_object(value: Mapping[str, Any]) -> bytes:
    """The bytes of `{"b64": "..."}`. Raises StatusError (INVALID_ARGUMENT)."""
    text = value["b64"].replace("-", "+").replace("_", "/")  # both alphabets, as absl::Base64Unescape
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error as error:
        raise invalid_argument("Unable to base64 decode") from error


def quick_array(value: Any, dtype: int) -> Array | None:
    """The array of a regular value of the right type, or None where a closer look is needed."""
    target = numpy_dtype(dtype)
    if target == np.object_:
        return None
    try:
        array = np.array(value)
    except (ValueError, OverflowError):  # lists of different lengths, numbers beyond 64 bits
        return None
    wanted = {"f": "iuf", "i": "iu", "u": "iu", "b": "b"}.get(target.kind, "iuf")
    if array.size and array.dtype.kind not in wanted:
        return None
    # 8 and 16 bits are carried in int32, as in a TensorProto's int_val
    limits = np.iinfo(target if target.itemsize >= 4 else np.int32) if target.kind in "iu" else None
    if limits and array.size and (array.min() < limits.min or array.max() > limits.max):
        return None
    return array.astype(target)


def array_of(value: Any, dtype: int) -> Array:
    """The array of a JSON value. Raises StatusError (INVALID_ARGUMENT) that names the first wrong value."""
    array = quick_array(value, dtype)
    if array is not None:
        return array
    shape: list[int] = []
    first = value
    while isinstance(first, list):
        shape.append(len(first))
        if not first:
            break
        first = first[0]
    values: list[Any] = []
    _collect(value, 0, shape, dtype, values)
    flat = np.empty(len(values), numpy_dtype(dtype))
    flat[:] = values
    return flat.reshape(shape)


def _collect(value: Any, level: int, shape: Sequence[int], dtype: int, values: list[Any]) -> None:
    if isinstance(value, list):
        if level >= len(shape):
            raise invalid_argument(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
        if len(value) != shape[level]:
            raise invalid_argument(
                f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: "
                f"{shape[level]}"
            )
        for element in value:
            _collect(element, level + 1, shape, dtype, values)
        return
    if level != len(shape):
        raise invalid_argument(
            f"JSON Value: {shown(value)} found at incorrect level: {level + 1} in the JSON DOM. Expected at "
            f"level: {len(shape)}"
        )
    values.append(_scalar(value, dtype))


def _scalar(value: Any, dtype: int) -> Any:
    target = numpy_dtype(dtype)
    if target == np.object_:
        if isinstance(value, str):
            return value.encode()
        if is_base64_object(value):
            return decode_base64_object(value)
        if isinstance(value, dict):
            raise invalid_argument(f"JSON Value: {shown(value)} not formatted correctly for base64 data")
    elif target.kind == "b":
        if isinstance(value, bool):
            return value
    elif isinstance(value, bool):
        pass
    elif target.kind in "iu":
        limits = np.iinfo(target if target.itemsize >= 4 else np.int32)
        if isinstance(value, int) and limits.min <= value <= limits.max:
            return np.array(value).astype(target)
    elif isinstance(value, int | float):
        return value
    raise invalid_argument(
        f"JSON Value: {shown(value)} Type: {_type_name(value)} is not of expected type: {dtype_name(dtype)}"
    )


def shown(value: object) -> str:
    """The beginning of a JSON value, for error messages."""
    return json.dumps(value)[:_SHOWN_BYTES]


def _type_name(value: object) -> str:
    match value:
        case None:
            return "Null"
        case bool():
            return str(value)
        case dict():
            return "Object"
        case list():
            return "Array"
        case str():
            return "String"
        case _:
            return "Number"


def format_error(value: object, message: str) -> StatusError:
    """The error for a JSON value of the wrong form."""
    return invalid_argument(f"JSON Value: {shown(value)} {message}")
