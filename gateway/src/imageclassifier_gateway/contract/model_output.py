"""The output of a model as a value, and the conversion of its tensor to probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .checks import ContractError

PROBABILITIES_TENSOR = "probabilities"
#: `none` and `sigmoid`: the model returns probabilities. The others: it returns logits, and the gateway
#: computes the function.
ACTIVATIONS = ("none", "sigmoid", "softmax", "sigmoid-on-logits")
#: Rounding in a model's last layer may move a probability outside of 0 to 1 by this much.
_PROBABILITY_SLACK = 1e-3


@dataclass(frozen=True)
class ModelOutput:
    """The tensor with a column for each class, or one column for the second of two classes."""

    tensor: str = PROBABILITIES_TENSOR
    activation: str = "none"

    @property
    def sums_to_one(self) -> bool:
        """Whether the probabilities of all classes sum to one: the classes exclude each other."""
        return self.activation in ("none", "softmax")

    def probabilities(self, outputs: NDArray[Any], class_names: Sequence[str]) -> NDArray[np.float64]:
        """Convert the output tensor of a batch to probabilities, float64 `(batch, classes)`.

        The first axis of `outputs` is the batch; all others together have a value for each class, or a single
        value for the second of two classes. Raises ContractError for another shape, or for a value that is
        not a probability.
        """
        values = np.asarray(outputs, dtype=np.float64)
        classes = len(class_names)
        columns = int(np.prod(values.shape[1:])) if values.ndim else 0
        is_single = columns == 1 and classes == 2
        if not is_single and columns != classes:
            raise ContractError(
                f"The model's output '{self.tensor}' has shape {tuple(outputs.shape)}; "
                f"its contract has {classes} classes and needs (batch, {classes})."
            )
        if is_single and self.activation == "softmax":
            raise ContractError(
                f"The model's output '{self.tensor}' has one column, and a softmax needs one for each "
                "class. Set spec.output.activation to sigmoid-on-logits."
            )
        values = self._activated(values.reshape(len(values), columns))
        if is_single:
            values = np.concatenate([1.0 - values, values], axis=1)
        wrong = ~((values >= -_PROBABILITY_SLACK) & (values <= 1 + _PROBABILITY_SLACK))  # also true for NaN
        if wrong.any():
            row, column = (int(i) for i in np.argwhere(wrong)[0])
            raise ContractError(
                f"The model returned {values[row, column]:g} for class '{class_names[column]}', which is "
                "not a probability. If the model returns logits, set spec.output.activation to "
                f"{'sigmoid-on-logits' if is_single else 'softmax'}."
            )
        return np.clip(values, 0.0, 1.0)

    def _activated(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.activation == "softmax":
            exponentials = np.exp(values - values.max(axis=1, keepdims=True))
            return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))
        if self.activation == "sigmoid-on-logits":
            return np.asarray(0.5 * (1.0 + np.tanh(0.5 * values)))  # has no overflow
        return values
