"""Build the network of a backbone, from pixels to a feature map, with its ImageNet weights."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import keras

from ..errors import TrainingError, WeightsUnavailable, one_line
from . import efficientnet_lite
from .backbones import Scaling, backbone
from .batch_norm_folding import fold_batch_norm

#: Inside of two blocks of InceptionV3 are layers named `mixed9_0` and `mixed9_1`: they end no block.
_BLOCK = re.compile(r"(stem|head|top|block\d+[a-z]?|mixed\d+$)")


def build(name: str, height: int, width: int, weights: Path | None = None) -> keras.Model:
    """Build a backbone with its ImageNet weights, batch normalisation folded into its convolutions.

    The model takes RGB pixels from 0 to 255, float32 `(batch, height, width, 3)`, and returns its last
    feature map, float32 `(batch, rows, columns, channels)`. `weights` is a weights file for a backbone of
    keras.applications, which otherwise downloads its weights. Raises WeightsUnavailable when it cannot.
    """
    row = backbone(name)
    if row.application is None:
        if weights is not None:
            raise TrainingError(
                f"--weights does not apply to {name}: its weights are installed with it. Remove --weights."
            )
        return fold_batch_norm(efficientnet_lite.build(name, height, width))
    inputs = keras.Input((height, width, 3), name="pixels")
    source = "imagenet" if weights is None else str(weights)
    application = getattr(keras.applications, row.application)
    try:
        model = application(include_top=False, weights=source, input_tensor=scaled(inputs, row.scaling))
    except Exception as error:
        # Keras raises a bare Exception for an unreachable host, and ValueError or OSError for a wrong file.
        raise WeightsUnavailable(_why_not(name, weights, error)) from error
    return fold_batch_norm(keras.Model(inputs, model.output, name=name))


def blocks(model: keras.Model) -> dict[str, list[str]]:
    """The blocks of a backbone from input to output, each with the names of its layers.

    The name of a layer begins with the name of its block (`block03`, `head`). A block of InceptionV3 ends
    with its `mixed` layer. Layers before the first block belong to that block.
    """
    found: dict[str, list[str]] = {}
    waiting: list[str] = []
    current = None
    for layer in model.layers:
        match = _BLOCK.match(layer.name)
        current = match.group(1) if match else current
        if current is None or (match is None and "inception" in model.name):
            waiting.append(layer.name)
            continue
        found.setdefault(current, []).extend([*waiting, layer.name])
        waiting = []
    return found


def scaled(pixels: Any, scaling: Scaling) -> Any:
    """Scale RGB pixels from 0 to 255, `(batch, height, width, 3)`, as keras.applications needs them."""
    if scaling is Scaling.MINUS_ONE_TO_ONE:
        return keras.layers.Rescaling(1 / 127.5, -1.0, name="normalise")(pixels)
    if scaling is Scaling.BGR_MINUS_MEAN:
        return keras.applications.imagenet_utils.preprocess_input(pixels, mode="caffe")
    return pixels


def _why_not(name: str, weights: Path | None, error: Exception) -> str:
    reason = one_line(error, 200)
    if weights is None:
        return (
            f"The ImageNet weights of {name} could not be downloaded ({reason}). Without internet access, "
            "pass the weights file of keras.applications (without top) with --weights FILE, or use "
            "efficientnet_lite0, 1 or 2, whose weights are installed."
        )
    return (
        f"{weights} does not hold the weights of {name} without top: {reason}. "
        "Pass the file that keras.applications downloads for include_top=False."
    )
