"""Loads SavedModels from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.python.saved_model.loader_impl import parse_saved_model

from imageclassifier_gateway.contract import CONTRACT_SIGNATURE, Signature, Tensor

from ..errors import ModelError, one_line
from ..files import shown
from .original import Original, Tensors

#: The methods of TensorFlow's estimators (signature_constants.h), whose input is a batch of tf.Example.
_EXAMPLE_METHODS = ("tensorflow/serving/classify", "tensorflow/serving/regress")


def load(folder: Path) -> Original:
    """Load the SavedModel in a folder. Raises ModelError."""
    try:
        loaded = tf.saved_model.load(str(folder))
        graphs = parse_saved_model(str(folder)).meta_graphs
    except (OSError, ValueError, KeyError, AttributeError, tf.errors.OpError) as error:
        reason = one_line(error).rstrip(".")
        raise ModelError(
            f"{shown(folder)} cannot be loaded as a SavedModel: {reason}. Export the model again, with "
            "the TensorFlow of this environment or an older one."
        ) from error
    if CONTRACT_SIGNATURE in loaded.signatures:
        raise ModelError(
            f"{shown(folder)} describes itself already, so there is nothing to adopt. Serve it as it is."
        )
    methods = {name: each.method_name for graph in graphs for name, each in graph.signature_def.items()}
    signatures = {
        name: Signature(
            name,
            _tensors(function.structured_input_signature[1]),
            _tensors(function.structured_outputs),
            takes_examples=methods.get(name) in _EXAMPLE_METHODS,
        )
        for name, function in loaded.signatures.items()
    }

    def call(tensors: Tensors, values: Any) -> Any:
        # The closure keeps the loaded object alive: its signatures do not.
        return loaded.signatures[tensors.signature](**{tensors.input: values})[tensors.output]

    name = folder.resolve().parent.name if folder.name.isdecimal() else folder.resolve().name
    return Original(f"the SavedModel {shown(folder)}", name, signatures, call, call)


def _tensors(specs: Any) -> tuple[Tensor, ...]:
    return tuple(
        Tensor(
            name,
            "bytes" if spec.dtype == tf.string else spec.dtype.name,
            None if spec.shape.rank is None else tuple(spec.shape.as_list()),
        )
        for name, spec in sorted(specs.items())
    )
