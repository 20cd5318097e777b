"""What a model says about itself: its input, its classes and when it answers which of them.

A model exported by `imageclassifier_training` carries this as JSON behind its `contract` signature, and a few
pictures with their probabilities behind `golden`. For a model from elsewhere the routing file carries the
same JSON, with the words for a foreign input and output added (`docs/architecture.md`). Plain values only: no
I/O, no gRPC, no TensorFlow.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

SCHEMA = 1
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
#: A model's input is a picture, not a poster: bounds the memory that a wrong contract can ask of the gateway.
MAX_SIDE = 4096
#: Rounding in a model's last layer may leave the interval 0..1 by this much.
_PROBABILITY_SLACK = 1e-3


class ContractError(ValueError):
    """A contract, or a model's answer to it, is not what it must be; the message says where and what."""


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
        """Turn RGB pixels, uint8 `(..., height, width, 3)`, into the tensor's values: `pixel * scale +
        offset`.
        """
        if self.channels == "bgr":
            pixels = pixels[..., ::-1]
        if self.dtype == "uint8":
            return np.ascontiguousarray(pixels)
        return pixels.astype(np.float32) * np.float32(self.scale) + np.float32(self.offset)


@dataclass(frozen=True)
class ModelOutput:
    """The tensor that carries the probabilities; `sigmoid` means one column, the probability of the second
    class.
    """

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
        return tuple(each.name for each in self.classes)

    def to_json(self) -> str:
        """The contract as JSON with sorted keys: what the `contract` signature answers."""
        return json.dumps(self.to_dict(), sort_keys=True, ensure_ascii=False, allow_nan=False)

    def to_dict(self) -> dict[str, Any]:
        """The contract as plain JSON values; input and output fields that have their usual value are left
        out.
        """
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
        """`sha256:` and the hash of the JSON: equal for equal contracts, whatever the order of their keys
        was.
        """
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


@dataclass(frozen=True)
class GoldenCase:
    """A small PNG and the probabilities that training computed for it."""

    png: bytes
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class Golden:
    """Pictures with known answers, for checking a model end to end.

    `tolerance` is absolute, per probability.
    """

    tolerance: float
    cases: tuple[GoldenCase, ...]

    def to_json(self) -> str:
        """What the `golden` signature answers."""
        cases = [
            {"png": base64.b64encode(case.png).decode(), "probabilities": list(case.probabilities)}
            for case in self.cases
        ]
        return json.dumps({"schema": SCHEMA, "tolerance": self.tolerance, "cases": cases}, allow_nan=False)


def parse_contract(document: str | bytes | Mapping[str, Any], *, default_name: str = "") -> Contract:
    """Read a contract from JSON, or from JSON already parsed. `default_name` serves where it names no model.

    A key that would change the answer and is unknown is an error; unknown keys at the top are information for
    others. Raises ContractError with the path of what is wrong.
    """
    top = _object(_loaded(document, "contract"), "contract")
    _check_schema(top, "contract")
    classes = _classes(_required(top, "classes", "contract"))
    if len(classes) == 2:
        threshold = _number(_required(top, "threshold", "contract"), "threshold", 0.0, 1.0)
    else:
        threshold = _number(top.get("threshold", 0.5), "threshold", 0.0, 1.0)
    model_input = _input(_object(_required(top, "input", "contract"), "input"))
    output = _object(top.get("output", {}), "output")
    _known(output, "output", ("tensor", "activation"))
    model_output = ModelOutput(
        tensor=_text(output.get("tensor", ModelOutput.tensor), "output.tensor"),
        activation=_choice(
            output.get("activation", ModelOutput.activation), "output.activation", ACTIVATIONS
        ),
    )
    if model_output.activation == "sigmoid" and len(classes) != 2:
        raise ContractError(f"output.activation 'sigmoid' needs two classes; classes has {len(classes)}.")
    return Contract(
        name=_text(top.get("name", default_name), "name", empty=True) or default_name,
        input=model_input,
        classes=classes,
        threshold=threshold,
        output=model_output,
        backbone=_text(top.get("backbone", ""), "backbone", empty=True),
        metrics=_object(top.get("metrics", {}), "metrics"),
        data_digest=_text(top.get("data_digest", ""), "data_digest", empty=True),
        created=_text(top.get("created", ""), "created", empty=True),
    )


def parse_golden(document: str | bytes | Mapping[str, Any]) -> Golden:
    """Read what the `golden` signature answered. Raises ContractError with the path of what is wrong."""
    top = _object(_loaded(document, "golden"), "golden")
    _check_schema(top, "golden")
    cases = []
    for i, each in enumerate(_list(_required(top, "cases", "golden"), "cases")):
        case = _object(each, f"cases[{i}]")
        try:
            png = base64.b64decode(
                _text(_required(case, "png", f"cases[{i}]"), f"cases[{i}].png"), validate=True
            )
        except binascii.Error as error:
            raise ContractError(f"cases[{i}].png is not base64: {error}.") from None
        values = _list(_required(case, "probabilities", f"cases[{i}]"), f"cases[{i}].probabilities")
        numbers = tuple(_number(v, f"cases[{i}].probabilities[{j}]", 0.0, 1.0) for j, v in enumerate(values))
        cases.append(GoldenCase(png=png, probabilities=numbers))
    return Golden(
        tolerance=_number(_required(top, "tolerance", "golden"), "tolerance", 0.0, 1.0), cases=tuple(cases)
    )


def _input(document: Mapping[str, Any]) -> ModelInput:
    _known(document, "input", tuple(ModelInput.__dataclass_fields__))
    dtype = _choice(document.get("dtype", ModelInput.dtype), "input.dtype", DTYPES)
    scale = _number(document.get("scale", ModelInput.scale), "input.scale")
    offset = _number(document.get("offset", ModelInput.offset), "input.offset")
    if dtype == "uint8" and (scale, offset) != (1.0, 0.0):
        raise ContractError("input.scale and input.offset need input.dtype 'float32'; it is 'uint8'.")
    return ModelInput(
        height=_side(_required(document, "height", "input"), "input.height"),
        width=_side(_required(document, "width", "input"), "input.width"),
        resize=_choice(document.get("resize", ModelInput.resize), "input.resize", RESIZES),
        fit=_choice(document.get("fit", ModelInput.fit), "input.fit", FITS),
        tensor=_text(document.get("tensor", ModelInput.tensor), "input.tensor"),
        dtype=dtype,
        scale=scale,
        offset=offset,
        channels=_choice(document.get("channels", ModelInput.channels), "input.channels", CHANNELS),
    )


def _classes(value: Any) -> tuple[ModelClass, ...]:
    classes = []
    for i, each in enumerate(_list(value, "classes")):
        item = _object(each, f"classes[{i}]")
        _known(item, f"classes[{i}]", ("name", "message"))
        name = _text(_required(item, "name", f"classes[{i}]"), f"classes[{i}].name")
        message = _text(item.get("message", name), f"classes[{i}].message", empty=True)
        classes.append(ModelClass(name=name, message=message or name))
    names = [each.name for each in classes]
    if len(names) < 2:
        raise ContractError(f"classes has {len(names)} entries; a classifier needs at least two.")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ContractError(f"classes names '{twice[0]}' more than once.")
    return tuple(classes)


def _without_defaults(value: Any, optional: tuple[str, ...]) -> dict[str, Any]:
    fields = value.__dataclass_fields__
    return {
        name: getattr(value, name)
        for name in fields
        if name not in optional or getattr(value, name) != fields[name].default
    }


def _loaded(document: str | bytes | Mapping[str, Any], what: str) -> Any:
    if not isinstance(document, str | bytes):
        return document
    try:
        return json.loads(document)
    except (ValueError, RecursionError) as error:
        raise ContractError(f"The model's {what} is not JSON: {error}.") from None


def _check_schema(document: Mapping[str, Any], what: str) -> None:
    schema = document.get("schema", SCHEMA)
    if schema != SCHEMA:
        raise ContractError(
            f"The model's {what} has schema {schema!r}; this version reads schema {SCHEMA} only."
        )


def _required(document: Mapping[str, Any], key: str, where: str) -> Any:
    if key not in document:
        raise ContractError(f"{where} lacks '{key}'.")
    return document[key]


def _known(document: Mapping[str, Any], where: str, keys: tuple[str, ...]) -> None:
    if unknown := sorted(set(document) - set(keys)):
        raise ContractError(f"{where} has the unknown key '{unknown[0]}'; known are {', '.join(keys)}.")


def _object(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ContractError(f"{where} must be an object, not {type(value).__name__}.")
    return value


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise ContractError(f"{where} must be a list, not {type(value).__name__}.")
    return value


def _text(value: Any, where: str, *, empty: bool = False) -> str:
    if not isinstance(value, str) or not (value or empty):
        raise ContractError(f"{where} must be a {'' if empty else 'non-empty '}string, not {value!r:.60}.")
    return value


def _choice(value: Any, where: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise ContractError(f"{where} must be one of {', '.join(choices)}, not {value!r:.60}.")
    return str(value)


def _number(value: Any, where: str, least: float = -math.inf, most: float = math.inf) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ContractError(f"{where} must be a number, not {value!r:.60}.")
    if not math.isfinite(value) or not least <= value <= most:
        bounds = f"between {least:g} and {most:g}" if math.isfinite(least) else "finite"
        raise ContractError(f"{where} must be {bounds}, not {value!r:.60}.")
    return float(value)


def _side(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_SIDE:
        raise ContractError(
            f"{where} must be a whole number of pixels between 1 and {MAX_SIDE}, not {value!r:.60}."
        )
    return value
