"""Reads the JSON of a predict request, in row format (`instances`) or column format (`inputs`).

Pure functions over numpy arrays; rules and messages follow TensorFlow Serving's json_tensor.cc.
"""

import json
from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Any

import numpy as np

from .json_values import array_of, format_error, is_base64_object, quick_array, shown
from .status import StatusError, invalid_argument
from .tensors import Array


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
        raise format_error(document, "Is not object")
    return document


def signature_name(document: Mapping[str, Any]) -> str:
    """The signature that a request names, or "". Raises StatusError (INVALID_ARGUMENT)."""
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise format_error(document, "not formatted correctly. 'signature_name' key must be a string value.")
    return name


def predict_inputs(document: Mapping[str, Any], dtypes: Mapping[str, int]) -> tuple[dict[str, Array], Format]:
    """The input arrays of a predict request; `dtypes` gives the DataType of each named input.

    Raises StatusError (INVALID_ARGUMENT) that names the error and its place.
    """
    if "instances" in document and "inputs" in document:
        raise format_error(
            document, "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist "
        )
    if "instances" in document:
        instances = document["instances"]
        if not isinstance(instances, list):
            raise format_error(document, "Expecting 'instances' to be an list/array")
        if not instances:
            raise format_error(document, "No values in 'instances' array")
        return _from_instances(instances, dtypes), Format.ROW
    if "inputs" in document:
        return _from_inputs(document["inputs"], dtypes), Format.COLUMNAR
    raise invalid_argument("Missing 'inputs' or 'instances' key")


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
                f"Failed to process element: {number} of 'instances' list. JSON object: {shown(element)} "
                f"keys must be equal to: {','.join(sorted(dtypes))}"
            )
    return {
        name: _rows([e[name] for e in instances], dtype, f" key: {name}") for name, dtype in dtypes.items()
    }


def _rows(elements: Sequence[Any], dtype: int, where: str) -> Array:
    array = quick_array(elements, dtype)
    if array is not None:
        return array
    arrays = []
    for number, element in enumerate(elements):
        try:
            arrays.append(array_of(element, dtype))
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
        return {name: array_of(inputs, dtype)}
    for name in dtypes:
        if name not in inputs:
            raise invalid_argument(f"Missing named input: {name} in 'inputs' object.")
    return {name: array_of(inputs[name], dtype) for name, dtype in dtypes.items()}


def _is_named(value: object) -> bool:
    return isinstance(value, dict) and not is_base64_object(value)


def _shape(array: Array) -> str:
    return "[" + ",".join(str(size) for size in array.shape) + "]"
