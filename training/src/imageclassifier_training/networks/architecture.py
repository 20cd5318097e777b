"""The architecture of a network: its branches with their input sizes, and how an image becomes its input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from imageclassifier_gateway.contract import (
    DEFAULT_DECODING,
    FOR_NEW_MODELS,
    Decoding,
    ModelInput,
    parse_decoding,
)

from ..errors import TrainingError
from .backbones import backbone


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
        usual = backbone(name).side
        if side and not (side.isdecimal() and 32 <= int(side) <= 1024):
            raise TrainingError(
                f"Invalid input size in --backbone '{text}': it must be from 32 to 1024 pixels."
            )
        pixels = int(side) if side else usual
        return cls(name, pixels, pixels)

    def __str__(self) -> str:
        return f"{self.backbone}@{self.height}"


@dataclass(frozen=True)
class Architecture:
    """What is needed to build a network again: its branches, and how an image becomes its input."""

    branches: tuple[Branch, ...]
    resize: str = "bilinear"
    fit: str = "squash"
    decode: Decoding = DEFAULT_DECODING

    @classmethod
    def parse(
        cls,
        *branches: str,
        resize: str = "bilinear",
        fit: str = "squash",
        decode: Decoding = FOR_NEW_MODELS,
    ) -> Architecture:
        """Read one or more branches as `Branch.parse` does: `efficientnet_lite1@300`."""
        return cls(tuple(Branch.parse(each) for each in branches), resize, fit, decode)

    @property
    def input(self) -> ModelInput:
        """The input of the whole network: the largest input of its branches."""
        return ModelInput(
            height=max(branch.height for branch in self.branches),
            width=max(branch.width for branch in self.branches),
            resize=self.resize,
            fit=self.fit,
            decode=self.decode,
        )

    def to_dict(self) -> dict[str, Any]:
        """The architecture as JSON values, without `decode` if a contract does not need it."""
        document = asdict(self)
        if self.decode == DEFAULT_DECODING:
            del document["decode"]
        return document

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Architecture:
        """Read what `to_dict` returned."""
        branches = tuple(Branch(**branch) for branch in document["branches"])
        decode = parse_decoding(document.get("decode"))
        return cls(branches, document["resize"], document["fit"], decode)

    def __str__(self) -> str:
        return " + ".join(str(branch) for branch in self.branches)
