"""The contract as a value: converts pixels to a model's input, and its output to decisions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .checks import SCHEMA, ContractError

SERVING_SIGNATURE = "serving_default"
CONTRACT_SIGNATURE = "contract"
GOLDEN_SIGNATURE = "golden"
#: The unused int32 `(batch,)` input of `contract` and `golden`. With batching enabled, TensorFlow Serving
#: refuses signatures whose inputs have no batch dimension (batching_session.cc).
IGNORED_TENSOR = "ignored"
JSON_TENSOR = "json"
PIXELS_TENSOR = "pixels"
PROBABILITIES_TENSOR = "probabilities"

RESIZES = ("nearest", "bilinear", "bicubic", "lanczos")
FITS = ("squash", "crop", "pad")
DTYPES = ("uint8", "float32")
CHANNELS = ("rgb", "bgr")
ACTIVATIONS = ("none", "sigmoid")
#: Rounding in a model's last layer may move a probability outside of 0 to 1 by this much.
_PROBABILITY_SLACK = 1e-3


@dataclass(frozen=True)
class ModelInput:
    """The input of a model: the size of the pixels, how to resize a picture, and the tensor for the pixels.

    The fields after `fit` differ from their defaults only for models without a `contract` signature.
    """

    height: int
    width: int
    resize: str = "bilinear"
    fit: str = "squash"
    tensor: str = PIXELS_TENSOR
    dtype: str = "uint8"
    scale: float = 1.0
    offset: float = 0.0
    channels: str = "rgb"

    def tensor_values(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8] | NDArray[np.float32]:
        """Convert RGB pixels, uint8 `(..., height, width, 3)`, to tensor values: `pixel * scale + offset`."""
        if self.channels == "bgr":
            pixels = pixels[..., ::-1]
        if self.dtype == "uint8":
            return np.ascontiguousarray(pixels)
        return pixels.astype(np.float32) * np.float32(self.scale) + np.float32(self.offset)


@dataclass(frozen=True)
class ModelOutput:
    """The tensor with the probabilities. With `sigmoid`, it has one column, for the second class."""

    tensor: str = PROBABILITIES_TENSOR
    activation: str = "none"


@dataclass(frozen=True)
class ModelClass:
    """One class: its name (a label for programs) and its message (for people)."""

    name: str
    message: str


@dataclass(frozen=True)
class Decision:
    """The prediction for one picture."""

    label: str
    message: str
    probability: float
    probabilities: dict[str, float]


@dataclass(frozen=True)
class Contract:
    """The contract of a model. `classes` are in the order of the output's columns."""

    name: str
    input: ModelInput
    classes: tuple[ModelClass, ...]
    threshold: float = 0.5
    output: ModelOutput = ModelOutput()
    backbone: str = ""
    metrics: Mapping[str, Any] = field(default_factory=dict, hash=False)
    data_digest: str = ""
    created: str = ""

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the output columns."""
        return tuple(each.name for each in self.classes)

    def to_json(self) -> str:
        """The contract as JSON with sorted keys, which the `contract` signature returns."""
        return json.dumps(self.to_dict(), sort_keys=True, ensure_ascii=False, allow_nan=False)

    def to_dict(self) -> dict[str, Any]:
        """The contract as plain JSON values, without optional fields that have their default."""
        document: dict[str, Any] = {
            "schema": SCHEMA,
            "name": self.name,
            "input": _without_defaults(self.input, ("tensor", "dtype", "scale", "offset", "channels")),
            "classes": [{"name": each.name, "message": each.message} for each in self.classes],
            "threshold": self.threshold,
            "backbone": self.backbone,
            "metrics": dict(self.metrics),
            "data_digest": self.data_digest,
            "created": self.created,
        }
        if output := _without_defaults(self.output, ("tensor", "activation")):
            document["output"] = output
        return document

    @property
    def digest(self) -> str:
        """`sha256:` and the hash of the JSON, which does not depend on the order of keys."""
        return "sha256:" + hashlib.sha256(self.to_json().encode()).hexdigest()

    def probabilities(self, outputs: NDArray[Any]) -> NDArray[np.float64]:
        """Convert the output tensor of a batch to probabilities, float64 `(batch, classes)`.

        The shape of `outputs` must be `(batch, classes)`, or `(batch, 1)` or `(batch,)` with activation
        `sigmoid`. Raises ContractError for another shape, or for a value that is not a probability.
        """
        values = np.asarray(outputs, dtype=np.float64)
        if self.output.activation == "sigmoid":
            if values.ndim == 2 and values.shape[1] == 1:
                values = values[:, 0]
            if values.ndim != 1:
                raise ContractError(
                    f"The model's output '{self.output.tensor}' has shape {tuple(outputs.shape)}; "
                    "activation 'sigmoid' needs one column, (batch, 1)."
                )
            values = np.stack([1.0 - values, values], axis=1)
        if values.ndim != 2 or values.shape[1] != len(self.classes):
            raise ContractError(
                f"The model's output '{self.output.tensor}' has shape {tuple(outputs.shape)}; "
                f"its contract has {len(self.classes)} classes and needs (batch, {len(self.classes)})."
            )
        wrong = ~((values >= -_PROBABILITY_SLACK) & (values <= 1 + _PROBABILITY_SLACK))  # also true for NaN
        if wrong.any():
            row, column = (int(i) for i in np.argwhere(wrong)[0])
            raise ContractError(
                f"The model returned {values[row, column]:g} for class '{self.classes[column].name}', "
                "which is not a probability. The model must end in a softmax or a sigmoid."
            )
        return np.clip(values, 0.0, 1.0)

    def decide(self, probabilities: Sequence[float] | NDArray[Any]) -> Decision:
        """Choose the class of one picture from the probabilities of all classes.

        With two classes, this is the second class if its probability is at least `threshold`. With more
        classes, it is the most probable class, and the first one of equals.
        """
        values = [float(p) for p in probabilities]
        if len(values) != len(self.classes):
            raise ContractError(f"{len(values)} probabilities for {len(self.classes)} classes.")
        if len(values) == 2:
            chosen = 1 if values[1] >= self.threshold else 0
        else:
            chosen = max(range(len(values)), key=values.__getitem__)
        return Decision(
            label=self.classes[chosen].name,
            message=self.classes[chosen].message,
            probability=values[chosen],
            probabilities=dict(zip(self.class_names, values, strict=True)),
        )


def _without_defaults(value: Any, optional: tuple[str, ...]) -> dict[str, Any]:
    fields = value.__dataclass_fields__
    return {
        name: getattr(value, name)
        for name in fields
        if name not in optional or getattr(value, name) != fields[name].default
    }
