"""The whole network: pixels in, one or more backbones side by side, a linear head, probabilities out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import keras

from . import backbones
from .architecture import Architecture
from .head import Head


@dataclass(frozen=True)
class Network:
    """The built network. `features` gives the pooled features of all branches side by side, `(batch,
    features)`; `model` the probabilities, `(batch, classes)`. Both take RGB pixels, float32 `(batch, height,
    width, 3)`."""

    architecture: Architecture
    branches: tuple[keras.Model, ...]
    features: keras.Model
    model: keras.Model

    def set_head(self, head: Head) -> None:
        """Set the linear layer before the softmax."""
        self.model.get_layer("head_dense").set_weights([head.kernel, head.bias])


def build(architecture: Architecture, classes: int, weights: Mapping[str, Path] | None = None) -> Network:
    """Build a network with ImageNet weights in its backbones and zeros in its head.

    `weights` are files by backbone name, for those that would download theirs.
    """
    wanted = architecture.input
    pixels = keras.Input((wanted.height, wanted.width, 3), name="network_pixels")
    built, pooled = [], []
    for index, branch in enumerate(architecture.branches):
        backbone = backbones.build(
            branch.backbone, branch.height, branch.width, (weights or {}).get(branch.backbone)
        )
        backbone.name = f"branch{index}_{branch.backbone}"
        x = pixels
        if (branch.height, branch.width) != (wanted.height, wanted.width):
            x = keras.layers.Resizing(branch.height, branch.width, name=f"branch{index}_resize")(x)
        pooled.append(keras.layers.GlobalAveragePooling2D(name=f"branch{index}_pool")(backbone(x)))
        built.append(backbone)
    features = keras.layers.Concatenate(name="features")(pooled) if len(pooled) > 1 else pooled[0]
    head = keras.layers.Dense(classes, "softmax", kernel_initializer="zeros", name="head_dense")
    return Network(
        architecture,
        tuple(built),
        keras.Model(pixels, features, name="network_features"),
        keras.Model(pixels, head(features), name="network"),
    )
