"""Reads the signatures of a model from TensorFlow's messages."""

from __future__ import annotations

from ..contract import Signature, Tensor
from . import tfserving_pb2 as pb

_OUR_NAMES = {"float": "float32", "double": "float64", "half": "float16", "string": "bytes"}
#: The methods of TensorFlow's estimators (signature_constants.h), whose input is a batch of tf.Example.
_EXAMPLE_METHODS = ("tensorflow/serving/classify", "tensorflow/serving/regress")


def read_signatures(message: pb.SignatureDefMap | pb.MetaGraphDef) -> dict[str, Signature]:
    """The signatures in the metadata of a model, or in its graph."""
    return {
        name: Signature(
            name,
            tuple(_tensor(key, each.inputs[key]) for key in sorted(each.inputs)),
            tuple(_tensor(key, each.outputs[key]) for key in sorted(each.outputs)),
            takes_examples=each.method_name in _EXAMPLE_METHODS,
        )
        for name, each in message.signature_def.items()
    }


def _tensor(name: str, info: pb.TensorInfo) -> Tensor:
    dtype = str(pb.DataType.Name(info.dtype)).removeprefix("DT_").lower()
    shape = info.tensor_shape
    sizes = tuple(None if axis.size < 0 else int(axis.size) for axis in shape.dim)
    is_known = info.HasField("tensor_shape") and not shape.unknown_rank
    return Tensor(name, _OUR_NAMES.get(dtype, dtype), sizes if is_known else None)
