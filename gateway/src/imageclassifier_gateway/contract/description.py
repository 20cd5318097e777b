"""The contract as a value: the input, the output and the classes of a model, and its decision."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .checks import SCHEMA, ContractError
from .decoding import Decoding
from .explanation import Explanation
from .familiarity import Familiarity, UnfamiliarChange
from .model_input import ModelInput
from .model_output import ModelOutput
from .unsure import Unsure

CONTRACT_SIGNATURE = "contract"
GOLDEN_SIGNATURE = "golden"
#: The unused int32 `(batch,)` input of `contract` and `golden`. With batching enabled, TensorFlow Serving
#: refuses signatures whose inputs have no batch dimension (batching_session.cc).
IGNORED_TENSOR = "ignored"
JSON_TENSOR = "json"

#: The fields of the input and the output that the JSON of a contract has only if they differ from their
#: defaults.
_OPTIONAL_INPUT = (
    "decode", "tensor", "dtype", "scale", "offset", "channels", "layout", "batch", "signature",
)  # fmt: skip
_OPTIONAL_OUTPUT = ("tensor", "activation")


@dataclass(frozen=True)
class ModelClass:
    """One class: its unique name (a label for programs), its message and its display name (for people).

    Display names may repeat: ImageNet has two classes named crane.
    """

    name: str
    message: str
    display_name: str = ""

    def to_dict(self) -> dict[str, str]:
        """The class as plain JSON values, without an empty display name."""
        entry = {"name": self.name, "message": self.message}
        if self.display_name:
            entry["display_name"] = self.display_name
        return entry


@dataclass(frozen=True)
class Decision:
    """The prediction for one picture. `label` is the chosen class even if clients get no label.

    Versions are compared by it: the limits for unsure and unfamiliar predictions say nothing about the model.
    """

    label: str
    message: str
    probability: float
    probabilities: dict[str, float]
    display_name: str = ""
    """What people call the class, if that is not its label."""
    is_unsure: bool = False
    """Whether clients get no label: the probability is below the limit of the contract."""
    distance: float | None = None
    """How far the picture is from the training pictures; None if the model does not say."""
    distance_limit: float | None = None
    """The distance beyond which the picture would be unfamiliar; None if there is no limit."""
    is_unfamiliar: bool = False
    """Whether clients get no label: the picture is unlike the training pictures."""

    @property
    def shown_label(self) -> str | None:
        """The label for clients; None if the prediction is unsure, or the picture unfamiliar."""
        return None if self.is_unsure or self.is_unfamiliar else self.label


@dataclass(frozen=True)
class Contract:
    """The contract of a model. `classes` are in the order of the output's columns."""

    name: str
    input: ModelInput
    classes: tuple[ModelClass, ...]
    threshold: float = 0.5
    output: ModelOutput = field(default_factory=ModelOutput)
    backbone: str = ""
    metrics: Mapping[str, Any] = field(default_factory=dict, hash=False)
    data_digest: str = ""
    created: str = ""
    unsure: Unsure | None = None
    familiarity: Familiarity | None = None
    """How far a picture is from the training pictures, if the model says so, and what follows from it."""
    explanation: Explanation | None = None
    """The signature that says where in a picture its prediction comes from, if the model has one."""
    notes: tuple[str, ...] = ()
    """What was assumed about the model; not part of the JSON."""

    @cached_property
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
            "input": _without_defaults(self.input, _OPTIONAL_INPUT),
            "classes": [each.to_dict() for each in self.classes],
            "threshold": self.threshold,
            "backbone": self.backbone,
            "metrics": dict(self.metrics),
            "data_digest": self.data_digest,
            "created": self.created,
        }
        if output := _without_defaults(self.output, _OPTIONAL_OUTPUT):
            document["output"] = output
        if self.unsure is not None:
            document["unsure"] = self.unsure.to_dict()
        if self.familiarity is not None:
            document["familiarity"] = self.familiarity.to_dict()
        if self.explanation is not None:
            document["explain"] = self.explanation.to_dict()
        return document

    @cached_property
    def digest(self) -> str:
        """`sha256:` and the hash of the JSON, which does not depend on the order of keys."""
        return "sha256:" + hashlib.sha256(self.to_json().encode()).hexdigest()

    def with_unsure(self, unsure: Unsure | None) -> Contract:
        """The contract with the rule of the spec for unsure predictions, if the spec has one."""
        return self if unsure is None else replace(self, unsure=unsure)

    def with_unfamiliar(self, change: UnfamiliarChange | None) -> Contract:
        """The contract with the rule of the spec for unfamiliar pictures, if the spec has one.

        Without effect on a model that does not say how far a picture is from its training pictures.
        """
        if change is None or self.familiarity is None:
            return self
        return replace(self, familiarity=self.familiarity.changed(change))

    def probabilities(self, outputs: NDArray[Any]) -> NDArray[np.float64]:
        """The probabilities of a batch, float64 `(batch, classes)`: see ModelOutput.probabilities."""
        return self.output.probabilities(outputs, self.class_names)

    def decide(
        self, probabilities: Sequence[float] | NDArray[Any], distance: float | None = None
    ) -> Decision:
        """Choose the class of one picture from the probabilities of all classes.

        `distance` is that from the training pictures, if the model returns it.

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
        is_unsure = self.unsure is not None and self.unsure.applies_to(values[chosen])
        is_unfamiliar = (
            self.familiarity is not None and distance is not None and self.familiarity.is_unfamiliar(distance)
        )
        message = self.classes[chosen].message
        if self.unsure is not None and is_unsure:
            message = self.unsure.message
        if self.familiarity is not None and is_unfamiliar:  # it says more: the probabilities mean little
            message = self.familiarity.unfamiliar.message
        return Decision(
            label=self.classes[chosen].name,
            message=message,
            probability=values[chosen],
            probabilities=dict(zip(self.class_names, values, strict=True)),
            display_name="" if is_unsure or is_unfamiliar else self.classes[chosen].display_name,
            is_unsure=is_unsure,
            distance=distance,
            distance_limit=None if self.familiarity is None else self.familiarity.limit,
            is_unfamiliar=is_unfamiliar,
        )

    def decisions(
        self, probabilities: NDArray[np.float64], distances: NDArray[np.float64] | None
    ) -> list[Decision]:
        """Decide for each picture of a batch: probabilities `(batch, classes)`, and distances `(batch,)`."""
        if distances is None:
            return [self.decide(row) for row in probabilities]
        return [
            self.decide(row, distance)
            for row, distance in zip(probabilities, distances.tolist(), strict=True)
        ]


def _without_defaults(value: Any, optional: tuple[str, ...]) -> dict[str, Any]:
    fields = value.__dataclass_fields__
    return {
        name: _plain(getattr(value, name))
        for name in fields
        if name not in optional or getattr(value, name) != fields[name].default
    }


def _plain(value: Any) -> Any:
    return value.to_dict() if isinstance(value, Decoding) else value
