"""Backbones by name: networks that turn pixels into features, with ImageNet weights and their own scaling.

To add a backbone, add it here and to `architecture.BACKBONES`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from ..errors import TrainingError, WeightsUnavailable
from . import efficientnet_lite
from .architecture import BACKBONES
from .batch_norm_folding import fold_batch_norm


def _minus_one_to_one(pixels: Any) -> Any:
    return keras.layers.Rescaling(1 / 127.5, -1.0, name="normalise")(pixels)


#: The EfficientNets of keras.applications contain their own scaling.
_SCALING: dict[str, Callable[[Any], Any]] = {
    "xception": _minus_one_to_one,
    "inception_v3": _minus_one_to_one,
    "vgg16": keras.applications.vgg16.preprocess_input,
}
_APPLICATIONS = {
    "xception": keras.applications.Xception,
    "inception_v3": keras.applications.InceptionV3,
    "efficientnet_b3": keras.applications.EfficientNetB3,
    "efficientnet_b5": keras.applications.EfficientNetB5,
    "vgg16": keras.applications.VGG16,
}
_BLOCK = re.compile(r"(stem|head|top|block\d+[a-z]?|mixed\d+)")


def build(name: str, height: int, width: int, weights: Path | None = None) -> keras.Model:
    """Build a backbone with its ImageNet weights, batch normalisation folded into its convolutions.

    The model takes RGB pixels from 0 to 255, float32 `(batch, height, width, 3)`, and returns its last
    feature map, float32 `(batch, rows, columns, channels)`. `weights` is a weights file for a backbone of
    keras.applications, which otherwise downloads its weights. Raises WeightsUnavailable when it cannot.
    """
    if name not in BACKBONES:
        raise TrainingError(f"Unknown backbone '{name}'. Use one of {', '.join(BACKBONES)}.")
    if not BACKBONES[name].downloads:
        if weights is not None:
            raise TrainingError(
                f"--weights does not apply to {name}: its weights are installed with it. Remove --weights."
            )
        return fold_batch_norm(efficientnet_lite.build(name, height, width))
    inputs = keras.Input((height, width, 3), name="pixels")
    scaled = _SCALING[name](inputs) if name in _SCALING else inputs
    source = "imagenet" if weights is None else str(weights)
    try:
        model = _APPLICATIONS[name](include_top=False, weights=source, input_tensor=scaled)
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


def _why_not(name: str, weights: Path | None, error: Exception) -> str:
    reason = " ".join(str(error).split())[:200]
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
