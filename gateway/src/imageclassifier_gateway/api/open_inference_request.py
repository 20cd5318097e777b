"""Reads an inference request of the Open Inference Protocol V2. No I/O.

https://github.com/kserve/open-inference-protocol describes the JSON. The binary extension of Triton puts the
tensors behind the JSON: https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from ..pixels.pieces import Pause, no_pause
from ..problems import Problem
from .payload import Picture, check_count, decode_base64, parse_json_object

DATATYPE = "BYTES"
OUTPUTS = ("probabilities", "label")
#: Each element of a binary BYTES tensor begins with its length, a little-endian uint32.
_LENGTH_BYTES = 4


@dataclass(frozen=True)
class InferenceRequest:
    """The pictures, the names of the wanted outputs, and the id that the response repeats."""

    pictures: list[Picture]
    outputs: tuple[str, ...] = OUTPUTS
    id: str | None = None


def read_inference_request(
    body: bytes, json_length: str | None, max_pictures: int, pause: Pause = no_pause
) -> InferenceRequest:
    """Parse a request. `json_length` is the header `Inference-Header-Content-Length` of the binary extension.

    `pause` is called between two pieces of a long picture. Raises Problem if the request does not
    have exactly one BYTES tensor whose elements are pictures.
    """
    end = _json_end(json_length, len(body))
    document = parse_json_object(body[:end])
    tensors = document.get("inputs")
    if not isinstance(tensors, list) or len(tensors) != 1 or not isinstance(tensors[0], dict):
        raise Problem("bad-request", f"'inputs' must be a list of one tensor. {_FORM}")
    [tensor] = tensors
    datatype = tensor.get("datatype")
    if datatype != DATATYPE:
        raise Problem(
            "bad-request",
            f"inputs[0] has the datatype {str(datatype)[:20]!r}. The gateway decodes and resizes pictures "
            f"itself, and takes no pixel values. {_FORM}",
        )
    binary = _parameters(tensor).get("binary_data_size")
    if binary is None:
        pictures = list(_from_json(tensor.get("data"), pause))
    else:
        if binary != len(body) - end:
            raise Problem("bad-request", "'binary_data_size' is not the number of bytes behind the JSON.")
        # No more than that: a body can have millions of empty elements.
        pictures = list(islice(_from_binary(body, end), max_pictures + 1))
    if not pictures:
        raise Problem("bad-request", f"inputs[0] has no picture. {_FORM}")
    check_count(len(pictures), max_pictures)
    if _elements(tensor.get("shape")) != len(pictures):
        raise Problem(
            "bad-request",
            f"The shape of inputs[0] does not fit its {len(pictures)} elements. Send the shape "
            f"[{len(pictures)}].",
        )
    identifier = document.get("id")
    return InferenceRequest(
        pictures, _outputs(document.get("outputs")), identifier if isinstance(identifier, str) else None
    )


_FORM = (
    'Send {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "data": ["<base64 of a JPEG, '
    'PNG, ...>"]}]}.'
)


def _json_end(json_length: str | None, body_length: int) -> int:
    if json_length is None:
        return body_length
    if not (json_length.isascii() and json_length.isdigit() and len(json_length) < 12):
        raise Problem("bad-request", "The header Inference-Header-Content-Length must be a number of bytes.")
    if int(json_length) > body_length:
        raise Problem("bad-request", "The body is shorter than its Inference-Header-Content-Length.")
    return int(json_length)


def _parameters(described: dict[str, Any]) -> dict[str, Any]:
    parameters = described.get("parameters")
    return parameters if isinstance(parameters, dict) else {}


def _from_json(data: Any, pause: Pause) -> Iterator[Picture]:
    if not isinstance(data, list):
        raise Problem("bad-request", f"inputs[0] has no list 'data'. {_FORM}")
    for index, value in enumerate(data):
        if isinstance(value, list) and len(value) == 1:  # the shape [n, 1]
            [value] = value
        where = f"inputs[0].data[{index}]"
        if not isinstance(value, str) or not value:
            raise Problem("bad-request", f"{where} must be a picture in base64. {_FORM}")
        yield Picture(decode_base64(value, where, pause))


def _from_binary(body: bytes, at: int) -> Iterator[Picture]:
    while at < len(body):
        start = at + _LENGTH_BYTES
        at = start + int.from_bytes(body[at:start], "little")
        if start > len(body) or at > len(body):
            raise Problem("bad-request", "The binary data of inputs[0] is cut off.")
        yield Picture(body[start:at])


def _elements(shape: Any) -> int | None:
    """The number of elements of a shape; None if it is no list of numbers."""
    if not isinstance(shape, list) or not all(isinstance(each, float) and each >= 0 for each in shape):
        return None
    number = 1.0
    for each in shape:
        number *= each
    return int(number) if number < 2**31 else None


def _outputs(wanted: Any) -> tuple[str, ...]:
    if not wanted:
        return OUTPUTS
    names = (
        [each.get("name") if isinstance(each, dict) else None for each in wanted]
        if (isinstance(wanted, list))
        else [None]
    )
    unknown = [name for name in names if name not in OUTPUTS]
    if unknown:
        raise Problem(
            "bad-request",
            f"The model has no output {str(unknown[0])[:60]!r}. It has 'probabilities' and 'label'.",
        )
    return tuple(dict.fromkeys(str(name) for name in names))
