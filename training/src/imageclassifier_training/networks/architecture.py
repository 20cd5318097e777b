"""What a network is made of, in words: which backbones work side by side, each at which size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from imageclassifier_gateway.contract import ModelInput

from ..errors import TrainingError


@dataclass(frozen=True)
class Backbone:
    """A backbone's usual input size (pixels), and whether its weights are downloaded or installed already."""

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
        if name not in BACKBONES:
            raise TrainingError(f"There is no backbone '{name}'; there are {', '.join(BACKBONES)}.")
        if side and not (side.isdecimal() and 32 <= int(side) <= 1024):
            raise TrainingError(f"The size in '{text}' must be a number of pixels between 32 and 1024.")
        pixels = int(side) if side else BACKBONES[name].side
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
