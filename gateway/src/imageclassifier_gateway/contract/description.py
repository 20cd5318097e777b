"""The contract of a model as plain values, its tensor values and its decisions."""

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
#: The dummy int32 `(batch,)` input of `contract` and `golden`: with batching on, TF Serving refuses a
#: signature whose inputs have no batch dimension (batching_session.cc).
IGNORED_TENSOR = "ignored"
JSON_TENSOR = "json"
PIXELS_TENSOR = "pixels"
PROBABILITIES_TENSOR = "probabilities"

RESIZES = ("nearest", "bilinear", "bicubic", "lanczos")
FITS = ("squash", "crop", "pad")
DTYPES = ("uint8", "float32")
CHANNELS = ("rgb", "bgr")
ACTIVATIONS = ("none", "sigmoid")
#: Rounding in a model's last layer may leave the interval 0..1 by this much.
_PROBABILITY_SLACK = 1e-3


@dataclass(frozen=True)
class ModelInput:
    """The pixels a model wants: their size, how a picture gets there, and the tensor they go into.

    The fields after `fit` have other values than these only for models that do not describe themselves.
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
    """The tensor with the probabilities; `sigmoid` means one column, for the second class."""

    tensor: str = PROBABILITIES_TENSOR
    activation: str = "none"


@dataclass(frozen=True)
class ModelClass:
    """One class: its name (a label for programs) and its message (a sentence for people)."""

    name: str
    message: str


@dataclass(frozen=True)
class Decision:
    """A model's answer for one picture."""

    label: str
    message: str
    probability: float
    probabilities: dict[str, float]


@dataclass(frozen=True)
class Contract:
    """A model's description of itself. `classes` are in the order of the output's columns."""

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
        """The contract as JSON with sorted keys: what the `contract` signature answers."""
        return json.dumps(self.to_dict(), sort_keys=True, ensure_ascii=False, allow_nan=False)

    def to_dict(self) -> dict[str, Any]:
        """The contract as plain JSON values, without input and output fields that have their default."""
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
        """`sha256:` and the hash of the JSON; the order of its keys does not matter."""
        return "sha256:" + hashlib.sha256(self.to_json().encode()).hexdigest()

    def probabilities(self, outputs: NDArray[Any]) -> NDArray[np.float64]:
        """Turn the output tensor of a batch into probabilities, float64 `(batch, classes)`.

        `outputs` is `(batch, classes)`; with activation `sigmoid` it is `(batch, 1)` or `(batch,)`.
        Raises ContractError when the shape is another, or when a value is not a probability.
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
                f"its contract names {len(self.classes)} classes, which needs (batch, {len(self.classes)})."
            )
        wrong = ~((values >= -_PROBABILITY_SLACK) & (values <= 1 + _PROBABILITY_SLACK))  # also true for NaN
        if wrong.any():
            row, column = (int(i) for i in np.argwhere(wrong)[0])
            raise ContractError(
                f"The model answered {values[row, column]:g} for class '{self.classes[column].name}', "
                "which is not a probability: the model must end in a softmax or a sigmoid."
            )
        return np.clip(values, 0.0, 1.0)

    def decide(self, probabilities: Sequence[float] | NDArray[Any]) -> Decision:
        """Choose the class for one picture's probabilities, one for each class.

        With two classes the second is answered when its probability is at least `threshold`; with more, the
        most probable (the first of equals).
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
