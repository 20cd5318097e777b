"""JSON <-> tensors for the REST API, in row format (`instances`) and column format (`inputs`).

Pure functions over numpy arrays; rules and messages follow TensorFlow Serving's json_tensor.cc. A regular
list of numbers is turned into an array in one go; only where that fails are the values looked at one by one,
to say which one is wrong.
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Any

import numpy as np

from .status import StatusError, invalid_argument
from .tensors import Array, dtype_name, numpy_dtype

_SHOWN_BYTES = 256


class Format(Enum):
    """How a request lists its values, and so how the answer lists them."""

    ROW = auto()
    COLUMNAR = auto()


def parse_body(body: bytes) -> dict[str, Any]:
    """Read a request's JSON object. Raises StatusError (INVALID_ARGUMENT)."""
    if not body:
        raise invalid_argument("JSON Parse error: The document is empty")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        position = f" at offset: {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise invalid_argument(f"JSON Parse error: {reason}{position}") from error
    if not isinstance(document, dict):
        raise _format_error(document, "Is not object")
    return document


def signature_name(document: Mapping[str, Any]) -> str:
    """The signature that a request names, or "". Raises StatusError (INVALID_ARGUMENT)."""
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise _format_error(document, "not formatted correctly. 'signature_name' key must be a string value.")
    return name


def predict_inputs(document: Mapping[str, Any], dtypes: Mapping[str, int]) -> tuple[dict[str, Array], Format]:
    """The input arrays of a predict request; `dtypes` gives the DataType of each named input.

    Raises StatusError (INVALID_ARGUMENT) that names the error and its place.
    """
    if "instances" in document and "inputs" in document:
        raise _format_error(
            document, "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist "
        )
    if "instances" in document:
        instances = document["instances"]
        if not isinstance(instances, list):
            raise _format_error(document, "Expecting 'instances' to be an list/array")
        if not instances:
            raise _format_error(document, "No values in 'instances' array")
        return _from_instances(instances, dtypes), Format.ROW
    if "inputs" in document:
        return _from_inputs(document["inputs"], dtypes), Format.COLUMNAR
    raise invalid_argument("Missing 'inputs' or 'instances' key")


def predict_body(outputs: Mapping[str, Array], answer_format: Format) -> str:
    """The JSON of a predict response. Raises StatusError (INVALID_ARGUMENT) for outputs that are no rows."""
    if not outputs:
        raise invalid_argument("Cannot convert empty tensor map to JSON")
    if answer_format is Format.ROW:
        sizes = set()
        for name, array in outputs.items():
            if array.ndim == 0:
                raise invalid_argument(f"Tensor name: {name} has no shape information ")
            sizes.add(array.shape[0])
            if len(sizes) > 1:
                raise invalid_argument(
                    f"Tensor name: {name} has inconsistent batch size: {array.shape[0]} expecting: "
                    f"{next(iter(sizes - {array.shape[0]}))}"
                )
    values = {name: _plain(name, array) for name, array in sorted(outputs.items())}
    single = next(iter(values.values())) if len(values) == 1 else None
    if answer_format is Format.COLUMNAR:
        return dump({"outputs": values if single is None else single})
    if single is not None:
        return dump({"predictions": single})
    rows = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
    return dump({"predictions": rows})


def dump(document: object) -> str:
    """JSON with TensorFlow Serving's indentation."""
    return json.dumps(document, indent=4)


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


def _from_instances(instances: Sequence[Any], dtypes: Mapping[str, int]) -> dict[str, Array]:
    objects = _is_named(instances[0])
    if not isinstance(instances[0], dict) and len(dtypes) > 1:
        raise invalid_argument(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as "
            "per tensorinfo_map"
        )
    for number, element in enumerate(instances):
        if objects and not _is_named(element):
            raise invalid_argument(f"Expecting object but got list at item {number} of input list")
        if not objects and _is_named(element):
            raise invalid_argument(f"Expecting value/list but got object at item {number} of input list")
    if not objects:
        name = next(iter(dtypes))
        return {name: _rows(instances, dtypes[name], "")}
    for number, element in enumerate(instances):
        for name in element:
            if name not in dtypes:
                raise invalid_argument(
                    f"Failed to process element: {number} key: {name} of 'instances' list. Error: "
                    f"INVALID_ARGUMENT: JSON object: does not have named input: {name}"
                )
        if element.keys() != dtypes.keys():
            raise invalid_argument(
                f"Failed to process element: {number} of 'instances' list. JSON object: {_shown(element)} "
                f"keys must be equal to: {','.join(sorted(dtypes))}"
            )
    return {
        name: _rows([e[name] for e in instances], dtype, f" key: {name}") for name, dtype in dtypes.items()
    }


def _rows(elements: Sequence[Any], dtype: int, where: str) -> Array:
    array = _quick_array(elements, dtype)
    if array is not None:
        return array
    arrays = []
    for number, element in enumerate(elements):
        try:
            arrays.append(_array(element, dtype))
            if arrays[-1].size != arrays[0].size:
                raise invalid_argument(f"Expecting tensor size: {arrays[0].size} but got: {arrays[-1].size}")
            if arrays[-1].shape != arrays[0].shape:
                raise invalid_argument(f"Expecting shape {_shape(arrays[0])} but got: {_shape(arrays[-1])}")
        except StatusError as error:
            raise invalid_argument(
                f"Failed to process element: {number}{where} of 'instances' list. Error: {error}"
            ) from error
    return np.stack(arrays)


def _from_inputs(inputs: Any, dtypes: Mapping[str, int]) -> dict[str, Array]:
    if not _is_named(inputs):
        if len(dtypes) > 1:
            raise invalid_argument(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required "
                "as per tensorinfo_map"
            )
        name, dtype = next(iter(dtypes.items()))
        return {name: _array(inputs, dtype)}
    for name in dtypes:
        if name not in inputs:
            raise invalid_argument(f"Missing named input: {name} in 'inputs' object.")
    return {name: _array(inputs[name], dtype) for name, dtype in dtypes.items()}


def _is_named(value: object) -> bool:
    return isinstance(value, dict) and not is_base64_object(value)


def _quick_array(value: Any, dtype: int) -> Array | None:
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


def _array(value: Any, dtype: int) -> Array:
    array = _quick_array(value, dtype)
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
            f"JSON Value: {_shown(value)} found at incorrect level: {level + 1} in the JSON DOM. Expected at "
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
            raise invalid_argument(f"JSON Value: {_shown(value)} not formatted correctly for base64 data")
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
        f"JSON Value: {_shown(value)} Type: {_type_name(value)} is not of expected type: {dtype_name(dtype)}"
    )


def _plain(name: str, array: Array) -> Any:
    """An output as plain JSON values; float32 in its own shortest digits, bytes as text or `{"b64": ...}`."""
    if array.dtype == np.object_:
        as_bytes = name.endswith("_bytes")
        values = [
            {"b64": base64.b64encode(item).decode()} if as_bytes else item.decode("utf-8", "replace")
            for item in array.ravel().tolist()
        ]
        flat = np.empty(len(values), np.object_)
        flat[:] = values
        return flat.reshape(array.shape).tolist()
    if array.dtype == np.float32:
        return array.astype("U32").astype(np.float64).tolist()
    return array.tolist() if array.dtype.kind in "iub" else array.astype(np.float64).tolist()


def _shape(array: Array) -> str:
    return "[" + ",".join(str(size) for size in array.shape) + "]"


def _shown(value: object) -> str:
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


def _format_error(value: object, message: str) -> StatusError:
    return invalid_argument(f"JSON Value: {_shown(value)} {message}")
