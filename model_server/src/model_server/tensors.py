"""TensorProto <-> numpy, as TensorFlow's Tensor::FromProto and AsProtoField do it.

Numbers in `tensor_content` become an array without a copy. Answers are written into the typed fields
(`float_val`, ...), which is what clients of TensorFlow Serving read, unless `tensor_content` is asked for.
"""

from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
from tensorflow.core.framework import tensor_pb2, types_pb2

Array = npt.NDArray[Any]

_FIELDS: dict[int, tuple[type[Any], str]] = {
    types_pb2.DT_FLOAT: (np.float32, "float_val"),
    types_pb2.DT_DOUBLE: (np.float64, "double_val"),
    types_pb2.DT_INT32: (np.int32, "int_val"),
    types_pb2.DT_UINT8: (np.uint8, "int_val"),
    types_pb2.DT_INT16: (np.int16, "int_val"),
    types_pb2.DT_INT8: (np.int8, "int_val"),
    types_pb2.DT_UINT16: (np.uint16, "int_val"),
    types_pb2.DT_INT64: (np.int64, "int64_val"),
    types_pb2.DT_UINT32: (np.uint32, "uint32_val"),
    types_pb2.DT_UINT64: (np.uint64, "uint64_val"),
    types_pb2.DT_BOOL: (np.bool_, "bool_val"),
    types_pb2.DT_HALF: (np.float16, "half_val"),
    types_pb2.DT_BFLOAT16: (ml_dtypes.bfloat16, "half_val"),
    types_pb2.DT_STRING: (np.object_, "string_val"),
}
_ENUMS = {np.dtype(numpy_type): enum for enum, (numpy_type, _) in _FIELDS.items()}


class TensorParseError(ValueError):
    """A TensorProto whose values do not fit its shape or type."""


def numpy_dtype(enum: int) -> np.dtype[Any]:
    """The numpy dtype of a DataType; raises TensorParseError for one without."""
    if enum not in _FIELDS:
        raise TensorParseError(f"data type {types_pb2.DataType.Name(enum)} is not supported by this stand-in")
    return np.dtype(_FIELDS[enum][0])


def dtype_name(enum: int) -> str:
    """TensorFlow's short name of a DataType: `float`, `uint8`, `string`.

    >>> dtype_name(types_pb2.DT_UINT8)
    'uint8'
    """
    return str(types_pb2.DataType.Name(enum)).removeprefix("DT_").lower()


def decode(proto: Any) -> Array:
    """Read a TensorProto; strings become an array of `bytes` objects.

    Fewer values than the shape asks for repeat the last one, as in the original. Raises TensorParseError.
    """
    dtype = numpy_dtype(proto.dtype)
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    if proto.tensor_shape.unknown_rank or any(size < 0 for size in shape):
        raise TensorParseError("the shape is not fully known")
    count = int(np.prod(shape, dtype=np.int64))
    content = proto.tensor_content
    if content and dtype != np.object_:
        if len(content) != count * dtype.itemsize:
            raise TensorParseError(f"{len(content)} bytes do not make {count} values of {dtype}")
        return np.frombuffer(content, dtype).reshape(shape)
    values = getattr(proto, _FIELDS[proto.dtype][1])
    if len(values) > count:
        raise TensorParseError(f"{len(values)} values are more than the shape holds ({count})")
    if dtype in (np.float16, np.dtype(ml_dtypes.bfloat16)):
        array = np.array(values, np.int32).astype(np.uint16).view(dtype)
    elif dtype.kind in "iu":
        array = np.array(values, np.int64 if dtype != np.uint64 else np.uint64).astype(dtype)
    else:
        array = np.empty(len(values), dtype)
        array[:] = values
    if len(values) < count:
        last = array[-1:] if len(values) else np.array([b""] if dtype == np.object_ else [0], dtype)
        array = np.concatenate([array, np.broadcast_to(last, count - len(values))])
    return array.reshape(shape)


def encode(array: Array, proto: Any, as_content: bool = False) -> None:
    """Write an array into an empty TensorProto; strings are arrays of `bytes` objects."""
    enum = _ENUMS[array.dtype]
    proto.dtype = enum
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    if enum == types_pb2.DT_STRING:
        proto.string_val.extend(array.ravel().tolist())
    elif as_content:
        proto.tensor_content = array.tobytes()
    elif array.dtype.itemsize == 2 and array.dtype.kind not in "iu":
        proto.half_val.extend(array.view(np.uint16).ravel().tolist())
    else:
        getattr(proto, _FIELDS[enum][1]).extend(array.ravel().tolist())


def to_proto(array: Array, as_content: bool = True) -> Any:
    """A new TensorProto of an array."""
    proto = tensor_pb2.TensorProto()
    encode(array, proto, as_content)
    return proto
