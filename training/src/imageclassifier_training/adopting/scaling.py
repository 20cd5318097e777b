"""How pixels become the values that a model was trained with: `value = pixel * scale + offset`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from imageclassifier_gateway.contract import PerChannel


@dataclass(frozen=True)
class Scaling:
    """A scale and an offset for all channels or for each, and the order of the channels if it decides that.

    `option` is what a user writes to choose it.
    """

    option: str
    scale: PerChannel = 1.0
    offset: PerChannel = 0.0
    channels: str | None = None

    def to_input(self) -> dict[str, Any]:
        """The fields of a contract's input."""
        fields: dict[str, Any] = {"scale": self.scale, "offset": self.offset}
        return fields if self.channels is None else {**fields, "channels": self.channels}


@dataclass(frozen=True)
class Decided:
    """A scaling and the reason for it in words."""

    scaling: Scaling
    why: str


_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NONE = Scaling("--preprocess none")
ZERO_TO_ONE = Scaling("--scale 1/255", scale=1 / 255)
#: The modes of keras.applications.imagenet_utils.preprocess_input. `caffe` has the order BGR.
MODES: Mapping[str, Scaling] = {
    "none": NONE,
    "tf": Scaling("--preprocess tf", scale=1 / 127.5, offset=-1.0),
    "torch": Scaling(
        "--preprocess torch",
        scale=tuple(1 / 255 / std for std in _STD),
        offset=tuple(-mean / std for mean, std in zip(_MEAN, _STD, strict=True)),
    ),
    "caffe": Scaling("--preprocess caffe", offset=(-103.939, -116.779, -123.68), channels="bgr"),
}
#: What is tried on labelled images.
CANDIDATES = (*MODES.values(), ZERO_TO_ONE)


def custom(scale: float, offset: float, mean: Sequence[float], std: Sequence[float]) -> Scaling:
    """The scaling `(pixel * scale + offset - mean) / std`, with one mean and std or one for each channel."""
    count = max(len(mean), len(std))
    means, stds = (each if len(each) == count else [each[0]] * count for each in (mean, std))
    scales = tuple(scale / each for each in stds)
    offsets = tuple((offset - m) / s for m, s in zip(means, stds, strict=True))
    same = len(set(scales)) == len(set(offsets)) == 1
    return Scaling("--scale", scales[0] if same else scales, offsets[0] if same else offsets)


def mode_of(preprocess_input: Callable[[Any], Any]) -> str | None:
    """The mode that a `preprocess_input` of keras.applications uses; None if it is another function."""
    pixels = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255]], dtype=np.float32)
    found = np.asarray(preprocess_input(pixels.reshape((1, 2, 2, 3)).copy())).reshape(4, 3)
    for name, mode in MODES.items():
        ordered = pixels[:, ::-1] if mode.channels == "bgr" else pixels
        if np.allclose(found, ordered * np.asarray(mode.scale) + np.asarray(mode.offset), atol=1e-3):
            return name
    return None
