"""The backbones that `--backbone` accepts.

To add a backbone of keras.applications, add a row to `BACKBONES`. `pretrained` builds the network from it,
and finds the blocks by the names of the layers: they must match `pretrained._BLOCK`. An EfficientNet-Lite
also needs a row in `efficientnet_lite.VARIANTS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from ..errors import TrainingError


class Scaling(Enum):
    """What has to be done to pixels (0 to 255) before a network of keras.applications takes them."""

    NONE = auto()
    """Nothing: the network has a scaling layer of its own."""
    MINUS_ONE_TO_ONE = auto()
    """Map 0 to 255 linearly to -1 to 1 (mode `tf` of `keras.applications.imagenet_utils`)."""
    BGR_MINUS_MEAN = auto()
    """Turn RGB into BGR and subtract the mean of ImageNet (mode `caffe` of the same module)."""


@dataclass(frozen=True)
class Backbone:
    """A row of the table: where a network and its ImageNet weights come from, and what it takes."""

    side: int
    """The usual height and width of its input, in pixels."""
    application: str | None = None
    """The function of keras.applications that makes the network and downloads its weights.

    None for an EfficientNet-Lite, whose weights are installed with this package.
    """
    scaling: Scaling = Scaling.NONE
    weights_licence: str = "Apache-2.0"
    """The licence under which its ImageNet weights were published."""

    @property
    def weights_from(self) -> str:
        """Where its ImageNet weights come from."""
        return f"keras.applications.{self.application}" if self.application else "its Python package"

    @property
    def downloads(self) -> bool:
        """Whether its weights have to be downloaded."""
        return self.application is not None


BACKBONES = {
    "efficientnet_lite0": Backbone(224),
    "efficientnet_lite1": Backbone(240),
    "efficientnet_lite2": Backbone(260),
    "xception": Backbone(299, "Xception", Scaling.MINUS_ONE_TO_ONE, "MIT"),
    "inception_v3": Backbone(299, "InceptionV3", Scaling.MINUS_ONE_TO_ONE, "MIT"),
    "efficientnet_b3": Backbone(300, "EfficientNetB3"),
    "efficientnet_b5": Backbone(456, "EfficientNetB5"),
    # Ported from the weights of the Visual Geometry Group, University of Oxford.
    "vgg16": Backbone(224, "VGG16", Scaling.BGR_MINUS_MEAN, "CC-BY-4.0"),
}


def backbone(name: str) -> Backbone:
    """The backbone of this name. Raises TrainingError if there is none."""
    try:
        return BACKBONES[name]
    except KeyError:
        raise TrainingError(f"Unknown backbone '{name}'. Use one of {', '.join(BACKBONES)}.") from None
