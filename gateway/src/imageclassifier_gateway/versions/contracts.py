"""Reads the contract of a version: the model's own, or the given one completed with its signatures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..contract import CONTRACT_SIGNATURE, Contract, Signature, Tensor, completed, parse_contract
from ..contract.class_servable import CLASSES_SIGNATURE, class_servable, with_class_file
from . import tfserving_pb2 as pb
from .model_server_client import ModelServer

_OUR_NAMES = {"float": "float32", "double": "float64", "half": "float16", "string": "bytes"}
#: The methods of TensorFlow's estimators (signature_constants.h), whose input is a batch of tf.Example.
_EXAMPLE_METHODS = ("tensorflow/serving/classify", "tensorflow/serving/regress")


def read_contract(
    server: ModelServer, given: str | Mapping[str, Any] | None, *, default_name: str, timeout_seconds: float
) -> Contract:
    """The contract of a version. `given` is the one in the spec; None for a model with its own.

    Raises ModelServerError or ContractError.
    """
    if given is None:
        text = server.text(CONTRACT_SIGNATURE, timeout_seconds=timeout_seconds)
        return parse_contract(text, default_name=default_name)
    document = json.loads(given) if isinstance(given, str) else given
    if (servable := class_servable(document)) is not None:
        file = server.text(CLASSES_SIGNATURE, model=servable, timeout_seconds=timeout_seconds)
        document = with_class_file(document, file)
    known = read_signatures(server.signatures(timeout_seconds=timeout_seconds))
    contract, notes = completed(document, known)
    return replace(parse_contract(contract, default_name=default_name), notes=tuple(notes))


def read_signatures(message: pb.SignatureDefMap) -> dict[str, Signature]:
    """The signatures in the metadata of a model."""
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
