"""The architecture of a network: its backbones and their input sizes.

To add a backbone, add it to `BACKBONES` here and to the module `pretrained`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from imageclassifier_gateway.contract import ModelInput

from ..errors import TrainingError


@dataclass(frozen=True)
class Backbone:
    """The usual input size of a backbone (pixels), and whether its ImageNet weights have to be downloaded."""

    side: int
    downloads: bool


BACKBONES = {
    "efficientnet_lite0": Backbone(224, downloads=False),
    "efficientnet_lite1": Backbone(240, downloads=False),
    "efficientnet_lite2": Backbone(260, downloads=False),
    "xception": Backbone(299, downloads=True),
    "inception_v3": Backbone(299, downloads=True),
    "efficientnet_b3": Backbone(300, downloads=True),
    "efficientnet_b5": Backbone(456, downloads=True),
    "vgg16": Backbone(224, downloads=True),
}
"""The backbones that --backbone accepts. The module `pretrained` builds the network of each."""


@dataclass(frozen=True)
class Branch:
    """One backbone of a network, and its input size (pixels)."""

    backbone: str
    height: int
    width: int

    @classmethod
    def parse(cls, text: str) -> Branch:
        """Read `efficientnet_lite1` (at its usual size) or `efficientnet_lite1@300`."""
        name, _, side = text.partition("@")
        if name not in BACKBONES:
            raise TrainingError(f"Unknown backbone '{name}'. Use one of {', '.join(BACKBONES)}.")
        if side and not (side.isdecimal() and 32 <= int(side) <= 1024):
            raise TrainingError(
                f"Invalid input size in --backbone '{text}': it must be from 32 to 1024 pixels."
            )
        pixels = int(side) if side else BACKBONES[name].side
        return cls(name, pixels, pixels)

    def __str__(self) -> str:
        return f"{self.backbone}@{self.height}"


@dataclass(frozen=True)
class Architecture:
    """What is needed to build a network again: its branches, and how an image becomes its input."""

    branches: tuple[Branch, ...]
    resize: str = "bilinear"
    fit: str = "squash"

    @property
    def input(self) -> ModelInput:
        """The input of the whole network: the largest input of its branches."""
        return ModelInput(
            height=max(branch.height for branch in self.branches),
            width=max(branch.width for branch in self.branches),
            resize=self.resize,
            fit=self.fit,
        )

    def to_dict(self) -> dict[str, Any]:
        """The architecture as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Architecture:
        """Read what `to_dict` returned."""
        branches = tuple(Branch(**branch) for branch in document["branches"])
        return cls(branches, document["resize"], document["fit"])

    def __str__(self) -> str:
        return " + ".join(str(branch) for branch in self.branches)
