"""JSON to arrays and back: which input is accepted, and which error the rest gets."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tensorflow.core.framework import types_pb2

from model_server.json_response import predict_body
from model_server.json_tensor import Format, parse_body, predict_inputs
from model_server.status import StatusError

FLOAT = {"x": types_pb2.DT_FLOAT}
UINT8 = {"x": types_pb2.DT_UINT8}
STRING = {"x": types_pb2.DT_STRING}
TWO = {"a": types_pb2.DT_FLOAT, "b": types_pb2.DT_INT32}


def read(document: dict[str, Any], dtypes: dict[str, int]) -> dict[str, Any]:
    return {name: array.tolist() for name, array in predict_inputs(document, dtypes)[0].items()}


@given(hnp.arrays("uint8", hnp.array_shapes(max_dims=4, max_side=4)))
def test_rows_and_columns_of_numbers_hold_the_same_array(array: Any) -> None:
    for key, expected in (("instances", Format.ROW), ("inputs", Format.COLUMNAR)):
        arrays, answer_format = predict_inputs({key: array.tolist()}, UINT8)
        np.testing.assert_array_equal(arrays["x"], array)
        assert arrays["x"].dtype == np.uint8
        assert answer_format is expected


@given(hnp.arrays("float32", (2, 3), elements=st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_a_float_survives_the_answer_and_the_way_back(array: Any) -> None:
    document = json.loads(predict_body({"y": array}, Format.ROW))
    np.testing.assert_array_equal(np.array(document["predictions"], np.float32), array)


def test_a_float_is_written_in_its_own_digits() -> None:
    assert json.loads(predict_body({"y": np.array([0.1, 2], np.float32)}, Format.COLUMNAR)) == {
        "outputs": [0.1, 2.0]
    }


def test_whole_numbers_are_fine_for_floats_and_names_for_several_inputs() -> None:
    assert read({"instances": [1, 2.5]}, FLOAT) == {"x": [1.0, 2.5]}
    assert read({"instances": [{"a": 1, "b": 2}, {"a": 3, "b": 4}]}, TWO) == {"a": [1.0, 3.0], "b": [2, 4]}
    assert read({"instances": [{"x": [1]}]}, FLOAT) == {"x": [[1.0]]}


def test_bytes_are_base64_objects_in_either_alphabet() -> None:
    assert read({"instances": [{"b64": "_-8="}, {"b64": "/+8"}, "text"]}, STRING) == {
        "x": [b"\xff\xef", b"\xff\xef", b"text"]
    }


MISTAKES = [
    ({"instances": [1], "inputs": [1]}, FLOAT, "only one of 'inputs' or 'instances' keys to exist"),
    ({"instances": 1}, FLOAT, "Expecting 'instances' to be an list/array"),
    ({"instances": []}, FLOAT, "No values in 'instances' array"),
    ({"instances": [1]}, TWO, "instances is a plain list, but expecting list of objects"),
    ({"inputs": [1]}, TWO, "inputs is a plain value/list, but expecting an object"),
    ({"instances": [{"a": 1, "c": 2}]}, TWO, "JSON object: does not have named input: c"),
    ({"instances": [{"a": 1}]}, TWO, "keys must be equal to: a,b"),
    ({"instances": [{"a": 1, "b": 1}, 3]}, TWO, "Expecting object but got list at item 1"),
    ({"instances": [1, {"x": 1}]}, FLOAT, "Expecting value/list but got object at item 1"),
    ({"instances": [[1, 2], [3]]}, FLOAT, "element: 1 of 'instances' list"),
    ({"instances": [[1, 2], [3]]}, FLOAT, "Expecting tensor size: 2 but got: 1"),
    ({"instances": [[[1, 2]], [[1], [2]]]}, FLOAT, r"Expecting shape \[1,2\] but got: \[2,1\]"),
    ({"inputs": [[1, 2], [3]]}, FLOAT, "list at unexpected size: 1 at level: 1 expected size: 2"),
    ({"inputs": [[1], 2]}, FLOAT, "JSON Value: 2 found at incorrect level: 2"),
    ({"inputs": [1.5]}, UINT8, "JSON Value: 1.5 Type: Number is not of expected type: uint8"),
    ({"inputs": [True]}, FLOAT, "Type: True is not of expected type: float"),
    ({"inputs": [None]}, FLOAT, "Type: Null is not of expected type: float"),
    ({"inputs": [2**40]}, {"x": types_pb2.DT_INT32}, "is not of expected type: int32"),
    ({"inputs": [1]}, STRING, "JSON Value: 1 Type: Number is not of expected type: string"),
    ({"inputs": [{"b64": "?"}]}, STRING, "Unable to base64 decode"),
    ({"inputs": [{"b65": "aa"}]}, STRING, "not formatted correctly for base64 data"),
]


@pytest.mark.parametrize(("document", "dtypes", "message"), MISTAKES)
def test_a_mistake_is_named(document: dict[str, Any], dtypes: dict[str, int], message: str) -> None:
    with pytest.raises(StatusError, match=message):
        read(document, dtypes)


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b"\xff", b"[" * 100_000])
def test_a_body_other_than_a_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(StatusError, match="INVALID_ARGUMENT: JSON"):
        parse_body(body)


def test_outputs_without_a_batch_dimension_cannot_use_the_row_format() -> None:
    uneven = {"a": np.zeros(2, np.float32), "b": np.zeros(3, np.float32)}
    with pytest.raises(StatusError, match="Tensor name: b has inconsistent batch size: 3 expecting: 2"):
        predict_body(uneven, Format.ROW)
    with pytest.raises(StatusError, match="Tensor name: a has no shape information"):
        predict_body({"a": np.array(1, np.float32)}, Format.ROW)
