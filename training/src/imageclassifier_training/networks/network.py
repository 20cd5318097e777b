"""The whole network from pixels to probabilities: one or more backbones, and a linear head on top."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from . import pretrained
from .architecture import Architecture
from .head import Head


@dataclass(frozen=True)
class Network:
    """A built network; both of its models take RGB pixels, float32 `(batch, height, width, 3)`.

    `features` returns the concatenated, pooled features of all branches, `(batch, features)`. `model` returns
    the probabilities, `(batch, classes)`. `inside` returns a list: the features of each branch before they
    are averaged, `(batch, rows, columns, features)`, then `features`, then the probabilities.
    """

    architecture: Architecture
    branches: tuple[keras.Model, ...]
    features: keras.Model
    model: keras.Model
    inside: keras.Model

    @property
    def head(self) -> Head:
        """The linear layer before the softmax."""
        return Head(*self.model.get_layer("head_dense").get_weights())

    def weights_digest(self) -> str:
        """Hash the weights of all branches."""
        digest = hashlib.sha256()
        for branch in self.branches:
            for weight in branch.get_weights():
                digest.update(np.ascontiguousarray(weight).tobytes())
        return digest.hexdigest()

    def set_head(self, head: Head) -> None:
        """Set the linear layer before the softmax."""
        self.model.get_layer("head_dense").set_weights([head.kernel, head.bias])


def build(architecture: Architecture, classes: int, weights: Mapping[str, Path] | None = None) -> Network:
    """Build a network whose backbones have ImageNet weights and whose head is zero.

    `weights` are weights files by the name of the backbone; other backbones download theirs.
    """
    wanted = architecture.input
    pixels = keras.Input((wanted.height, wanted.width, 3), name="network_pixels")
    built, spatial, pooled = [], [], []
    for index, branch in enumerate(architecture.branches):
        backbone = pretrained.build(
            branch.backbone, branch.height, branch.width, (weights or {}).get(branch.backbone)
        )
        backbone.name = f"branch{index}_{branch.backbone}"
        x = pixels
        if (branch.height, branch.width) != (wanted.height, wanted.width):
            x = keras.layers.Resizing(branch.height, branch.width, name=f"branch{index}_resize")(x)
        spatial.append(backbone(x))
        pooled.append(keras.layers.GlobalAveragePooling2D(name=f"branch{index}_pool")(spatial[-1]))
        built.append(backbone)
    features = keras.layers.Concatenate(name="features")(pooled) if len(pooled) > 1 else pooled[0]
    head = keras.layers.Dense(classes, "softmax", kernel_initializer="zeros", name="head_dense")
    probabilities = head(features)
    return Network(
        architecture,
        tuple(built),
        keras.Model(pixels, features, name="network_features"),
        keras.Model(pixels, probabilities, name="network"),
        keras.Model(pixels, [*spatial, features, probabilities], name="network_inside"),
    )
