"""The whole network: pixels in, one or more backbones side by side, a linear head, probabilities out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from imageclassifier_gateway.contract import ModelInput

from . import backbones
from .errors import TrainingError


@dataclass(frozen=True)
class Branch:
    """One backbone and the size at which it looks at the picture (pixels)."""

    backbone: str
    height: int
    width: int

    @classmethod
    def parse(cls, text: str) -> Branch:
        """Read `efficientnet_lite1` (at its usual size) or `efficientnet_lite1@300`."""
        name, _, side = text.partition("@")
        if name not in backbones.BACKBONES:
            raise TrainingError(f"There is no backbone '{name}'; there are {', '.join(backbones.BACKBONES)}.")
        if side and not (side.isdecimal() and 32 <= int(side) <= 1024):
            raise TrainingError(f"The size in '{text}' must be a number of pixels between 32 and 1024.")
        pixels = int(side) if side else backbones.BACKBONES[name].side
        return cls(name, pixels, pixels)

    def __str__(self) -> str:
        return f"{self.backbone}@{self.height}"


@dataclass(frozen=True)
class Architecture:
    """What has to be known to build a network again: its branches, and how pictures reach it."""

    branches: tuple[Branch, ...]
    resize: str = "bilinear"
    fit: str = "squash"

    @property
    def input(self) -> ModelInput:
        """The pixels that the whole network takes: the largest that one of its branches looks at."""
        return ModelInput(
            height=max(branch.height for branch in self.branches),
            width=max(branch.width for branch in self.branches),
            resize=self.resize,
            fit=self.fit,
        )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Architecture:
        branches = tuple(Branch(**branch) for branch in document["branches"])
        return cls(branches, document["resize"], document["fit"])

    def __str__(self) -> str:
        return " + ".join(str(branch) for branch in self.branches)


@dataclass(frozen=True)
class Network:
    """The built network. `features` gives the pooled features of all branches side by side, `(batch,
    features)`; `model` the probabilities, `(batch, classes)`. Both take RGB pixels, float32 `(batch, height,
    width, 3)`."""

    architecture: Architecture
    branches: tuple[keras.Model, ...]
    features: keras.Model
    model: keras.Model

    def set_head(self, kernel: NDArray[np.float32], bias: NDArray[np.float32]) -> None:
        """Set the linear layer before the softmax: kernel `(features, classes)`, bias `(classes,)`."""
        self.model.get_layer("head_dense").set_weights([kernel, bias])


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
