"""Calls a model with pictures: the original with arrays, as a gateway would, and its graph with tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from imageclassifier_gateway.contract import Contract, ModelInput
from imageclassifier_gateway.pixels.tensors import BFLOAT16, LUMA, axes_of, tensor_values

from .original import Original, Tensors

#: The number of pictures in a call of a model that takes any number.
BATCH = 8


def raw_outputs(original: Original, contract: Contract, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The outputs of the original, `(pictures, values)`, for pixels `(pictures, height, width, 3)`.

    Models with a fixed number of pictures get the last one several times if there are too few.
    """
    wanted, tensors = contract.input, tensors_of(contract)
    fixed = _fixed_size(wanted)
    size = fixed or BATCH
    rows = []
    for start in range(0, len(pixels), size):
        some = pixels[start : start + size]
        count = len(some)
        if fixed is not None and count < size:
            some = np.concatenate([some, np.repeat(some[-1:], size - count, axis=0)])
        values = _computed(original, tensors, tensor_values(some, wanted))
        rows.append(values.reshape(len(some), -1)[:count])
    return np.concatenate(rows)


def _computed(original: Original, tensors: Tensors, values: NDArray[Any]) -> NDArray[np.float64]:
    """The output of the original for the values of its input."""
    with tf.device("/CPU:0"):
        if values.dtype == BFLOAT16:
            given = tf.bitcast(tf.constant(values.view("<u2")), tf.bfloat16)
        else:
            given = tf.constant(values.tolist() if values.dtype == object else values)
        return np.asarray(tf.cast(original.call(tensors, given), tf.float64))


def probabilities(original: Original, contract: Contract, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The probabilities of the original, `(pictures, classes)`, as a gateway computes them."""
    return contract.probabilities(raw_outputs(original, contract, pixels))


def tensors_of(contract: Contract) -> Tensors:
    """The tensors that the contract names."""
    return Tensors(contract.input.signature, contract.input.tensor, contract.output.tensor)


def served_function(original: Original, contract: Contract, columns: int) -> Callable[[Any], Any]:
    """The function from RGB pixels, float32 `(batch, height, width, 3)`, to probabilities `(batch, classes)`.

    It works for any number of pictures, also if the model does not. `columns` is the number of values that
    the model returns for a picture.
    """
    wanted, tensors = contract.input, tensors_of(contract)
    fixed = _fixed_size(wanted)

    def outputs(pixels: Any) -> Any:
        values = original.graph(tensors, _input_values(pixels, wanted))
        return tf.reshape(tf.cast(values, tf.float32), (tf.shape(pixels)[0], -1))

    def run(pixels: Any) -> Any:
        values = outputs(pixels) if fixed is None else _in_groups(outputs, pixels, fixed)
        return _activated(values, contract, columns)

    # The function has no conditions on tensors.
    unconverted: Callable[[Any], Any] = tf.autograph.experimental.do_not_convert(run)
    return unconverted


def _fixed_size(wanted: ModelInput) -> int | None:
    """The number of pictures that each call must have; None if the model takes any number."""
    return wanted.batch if "N" in wanted.layout else 1


def _in_groups(outputs: Callable[[Any], Any], pixels: Any, size: int) -> Any:
    """The outputs of a model that takes exactly `size` pictures in a call."""
    count = tf.shape(pixels)[0]
    groups = (count + size - 1) // size
    padded = tf.concat([pixels, tf.zeros((groups * size - count, *pixels.shape[1:]), pixels.dtype)], 0)
    grouped = tf.reshape(padded, (groups, size, *pixels.shape[1:]))
    rows = tf.map_fn(outputs, grouped, fn_output_signature=tf.float32)
    return tf.reshape(rows, (groups * size, tf.shape(rows)[-1]))[:count]


def _input_values(pixels: Any, wanted: ModelInput) -> Any:
    """What `tensor_values` of the gateway computes, as a graph."""
    if wanted.dtype == "bytes":
        files = tf.io.encode_png(tf.cast(pixels, tf.uint8), compression=1)
        shape = {"scalar": (), "N1": (-1, 1)}.get(wanted.layout, (-1,))
        return tf.reshape(files, shape)
    if wanted.channels == "bgr":
        pixels = tf.reverse(pixels, [-1])
    elif wanted.channels == "gray":
        weighted = tf.reduce_sum(tf.cast(pixels, tf.int32) * tf.constant(LUMA, tf.int32), -1, keepdims=True)
        pixels = tf.bitwise.right_shift(weighted + 0x8000, 16)
    dtype = tf.as_dtype(wanted.dtype)
    if not dtype.is_floating:
        return _in_layout(tf.cast(pixels, dtype), wanted.layout)
    exact = tf.float64 if dtype == tf.float64 else tf.float32
    values = tf.cast(pixels, exact)
    if (wanted.scale, wanted.offset) != (1.0, 0.0):
        values = values * tf.constant(wanted.scale, exact) + tf.constant(wanted.offset, exact)
    return tf.cast(_in_layout(values, wanted.layout), dtype)


def _in_layout(values: Any, layout: str) -> Any:
    if layout == "NF":
        return tf.reshape(values, (tf.shape(values)[0], -1))
    missing, order = axes_of(layout)
    # Without axes, tf.squeeze removes each axis of size 1.
    return tf.transpose(tf.squeeze(values, missing) if missing else values, order)


def _activated(values: Any, contract: Contract, columns: int) -> Any:
    """The probabilities, with the function that the outputs lack and both columns of two classes."""
    values = tf.ensure_shape(values, (None, columns))
    if contract.output.activation == "softmax":
        values = tf.nn.softmax(values)
    elif contract.output.activation == "sigmoid-on-logits":
        values = tf.sigmoid(values)
    is_single = columns == 1 and len(contract.classes) == 2
    return tf.concat([1.0 - values, values], 1) if is_single else values
