"""The networks that turn pixels into features, by name, each with its ImageNet weights and its own scaling
inside.
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
from .folding import fold_batch_norm


def _minus_one_to_one(pixels: Any) -> Any:
    return keras.layers.Rescaling(1 / 127.5, -1.0, name="normalise")(pixels)


#: The EfficientNets of keras.applications scale by themselves.
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

    Takes RGB pixels from 0 to 255, float32 `(batch, height, width, 3)`; gives its last feature map, float32
    `(batch, rows, columns, channels)`. `weights` is a file for the ones of keras.applications, which
    otherwise download theirs. Raises WeightsUnavailable when they cannot.
    """
    if name not in BACKBONES:
        raise TrainingError(f"There is no backbone '{name}'; there are {', '.join(BACKBONES)}.")
    if not BACKBONES[name].downloads:
        if weights is not None:
            raise TrainingError(f"{name} has its weights from its package; --weights is for the others.")
        return fold_batch_norm(efficientnet_lite.build(name, height, width))
    inputs = keras.Input((height, width, 3), name="pixels")
    scaled = _SCALING[name](inputs) if name in _SCALING else inputs
    source = "imagenet" if weights is None else str(weights)
    try:
        model = _APPLICATIONS[name](include_top=False, weights=source, input_tensor=scaled)
    except Exception as error:
        # Keras reports an unreachable host as a bare Exception, a wrong file as ValueError or OSError.
        raise WeightsUnavailable(_why_not(name, weights, error)) from error
    return fold_batch_norm(keras.Model(inputs, model.output, name=name))


def blocks(model: keras.Model) -> dict[str, list[str]]:
    """The backbone's blocks from input to output, each with its layers' names.

    A block is what a layer's name begins with (`block03`, `head`); in InceptionV3 it ends with a `mixed`
    layer. Layers before the first block belong to it.
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
            f"The ImageNet weights of {name} could not be downloaded ({reason}). Where the internet is "
            "out of reach, give the file of keras.applications (without top) with --weights FILE, or use "
            "efficientnet_lite0, 1 or 2, whose weights are installed already."
        )
    return f"{weights} does not hold the weights of {name} without top: {reason}"
