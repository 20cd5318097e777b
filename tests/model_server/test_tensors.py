"""TensorProto to numpy and back, held against TensorFlow's own conversion."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tensorflow.core.framework import tensor_pb2, types_pb2

from model_server.tensors import TensorParseError, decode, encode, to_proto

DTYPES = [
    "float32",
    "float64",
    "float16",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "bool",
]


@given(
    st.sampled_from(DTYPES).flatmap(
        lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
    ),
    st.booleans(),
)
def test_what_is_encoded_is_what_tensorflow_reads_and_what_we_read(array: Any, as_content: bool) -> None:
    proto = to_proto(array, as_content)
    for read in (decode(proto), tf.make_ndarray(proto)):
        assert read.dtype == array.dtype
        np.testing.assert_array_equal(read, array)


@given(hnp.arrays("uint8", (2, 3)))
def test_content_is_read_without_a_copy(array: Any) -> None:
    assert decode(to_proto(array)).base is not None


def test_strings_are_bytes_objects() -> None:
    array = np.array([[b"a", b"\xff"]], np.object_)
    assert decode(to_proto(array)).tolist() == [[b"a", b"\xff"]]


def test_the_last_of_too_few_values_is_repeated() -> None:
    proto = tensor_pb2.TensorProto(dtype=types_pb2.DT_FLOAT, float_val=[1, 2])
    proto.tensor_shape.dim.add(size=4)
    assert decode(proto).tolist() == [1, 2, 2, 2] == tf.make_ndarray(proto).tolist()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tensor_content": b"abc"}, "3 bytes do not make 2 values of float32"),
        ({"float_val": [1, 2, 3]}, "3 values are more than the shape holds"),
        ({"dtype": types_pb2.DT_COMPLEX64}, "DT_COMPLEX64 is not supported"),
    ],
)
def test_a_proto_whose_content_contradicts_its_header_is_refused(change: dict[str, Any], words: str) -> None:
    proto = tensor_pb2.TensorProto(**({"dtype": types_pb2.DT_FLOAT} | change))
    proto.tensor_shape.dim.add(size=2)
    with pytest.raises(TensorParseError, match=words):
        decode(proto)


def test_outputs_are_written_to_the_typed_fields() -> None:
    proto = tensor_pb2.TensorProto()
    encode(np.array([0.5], np.float32), proto)
    assert list(proto.float_val) == [0.5]
    assert proto.tensor_content == b""
