"""Writes the JSON of a predict response, in the format of its request.

Rules and messages follow TensorFlow Serving's json_tensor.cc.
"""

import base64
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from .json_tensor import Format
from .status import invalid_argument
from .tensors import Array


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
