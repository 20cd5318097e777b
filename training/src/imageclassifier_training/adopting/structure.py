"""Reads from the graph of a model what it does first with its pixels and last with its outputs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

#: Operations that move values without changing them.
_MOVES = frozenset(
    ("Identity", "Cast", "Reshape", "Squeeze", "ExpandDims", "Transpose", "StridedSlice", "ReverseV2", "Pad",
     "PadV2", "EnsureShape", "StopGradient", "ConcatV2", "PlaceholderWithDefault")
)  # fmt: skip
_ONLY_SHAPES = frozenset(("Shape", "ShapeN", "Rank", "Size", "NoOp", "Assert"))
_ARITHMETIC = frozenset(("Mul", "AddV2", "Add", "BiasAdd", "Sub", "RealDiv", "Div"))
_LAST = {"Softmax": "softmax", "Sigmoid": "sigmoid", "LogSoftmax": "log softmax"}
_MOST_STEPS = 30


@dataclass(frozen=True)
class Structure:
    """What a graph shows.

    `last` is the activation at its end, empty if there is none of the usual ones. `first` is what it does to
    pixels before any layer, as `(scale, offset)`: `(1, 0)` if that is nothing, None if it cannot be
    computed.
    """

    last: str
    first: tuple[float, float] | None


def read_structure(graph: Callable[[Any], Any], spec: Any) -> Structure:
    """Trace the function of one tensor, and read the graph. `spec` is the TensorSpec of its input."""
    traced = tf.function(graph, input_signature=[spec], autograph=False).get_concrete_function()
    frozen = convert_variables_to_constants_v2(traced, lower_control_flow=False)
    return Structure(_last(frozen.outputs[0]), _first(frozen.inputs[0]))


def _last(tensor: Any) -> str:
    for _ in range(_MOST_STEPS):
        if tensor.op.type not in _MOVES or not tensor.op.inputs:
            break
        tensor = tensor.op.inputs[0]
    return _LAST.get(tensor.op.type, "")


def _first(tensor: Any) -> tuple[float, float] | None:
    """The scale and the offset of the arithmetic on the pixels, as means over the channels."""
    scale, offset = 1.0, 0.0
    for _ in range(_MOST_STEPS):
        users = [each for each in tensor.consumers() if each.type not in _ONLY_SHAPES]
        if len(users) != 1 or not users[0].outputs:
            break
        (user,) = users
        if user.type in _ARITHMETIC:
            step = _step(user, tensor)
            if step is None:
                return None
            scale, offset = scale * step[0], offset * step[0] + step[1]
        elif user.type not in _MOVES:
            break
        tensor = user.outputs[0]
    return scale, offset


def _step(operation: Any, tensor: Any) -> tuple[float, float] | None:
    """The scale and the offset of one operation; None if its other operand is no constant."""
    left, right = operation.inputs
    is_left = left.name == tensor.name
    other = right if is_left else left
    while other.op.type in ("Identity", "Cast"):
        other = other.op.inputs[0]
    constant = tf.get_static_value(other)
    if constant is None:
        return None
    value = float(np.mean(constant))
    if not math.isfinite(value):
        return None
    match operation.type:
        case "Mul":
            return value, 0.0
        case "AddV2" | "Add" | "BiasAdd":
            return 1.0, value
        case "Sub":
            return (1.0, -value) if is_left else (-1.0, value)
        case _:
            return (1 / value, 0.0) if is_left and value else None
