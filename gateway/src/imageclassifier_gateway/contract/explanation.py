"""The signature of a model that says where in a picture its prediction comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .checks import ContractError, a_text, an_object, only_known

EXPLAIN_SIGNATURE = "explain"
MAPS_TENSOR = "maps"
#: The maximum number of places in a map. A map of a network is smaller than its input by a factor of 32.
_MAX_PLACES = 128 * 128


@dataclass(frozen=True)
class Explanation:
    """A signature with the input and outputs of the serving one, and a map for each class.

    The output `tensor` is float32 `(batch, rows, columns, classes)`: the logit of each class at each place.
    Its mean over all places is the logit of the whole picture.
    """

    signature: str = EXPLAIN_SIGNATURE
    tensor: str = MAPS_TENSOR

    def maps(self, outputs: NDArray[Any], classes: int) -> NDArray[np.float32]:
        """The output tensor of a batch.

        Raises ContractError for another shape, or for a value that is no number.
        """
        values = np.asarray(outputs, dtype=np.float32)
        places = values.shape[1] * values.shape[2] if values.ndim == 4 else 0
        if not 1 <= places <= _MAX_PLACES or values.shape[3] != classes:
            raise ContractError(
                f"The model's output '{self.tensor}' has shape {values.shape}; it must be (batch, rows, "
                f"columns, {classes}), with at most {_MAX_PLACES} places."
            )
        if not np.isfinite(values).all():
            raise ContractError(f"The model's output '{self.tensor}' contains a value that is no number.")
        return values

    def to_dict(self) -> dict[str, Any]:
        """The names as plain JSON values."""
        return {"signature": self.signature, "tensor": self.tensor}


def parse_explanation(value: Any, where: str = "explain") -> Explanation | None:
    """The names in a contract; None if there are none. Raises ContractError."""
    if value is None:
        return None
    document = an_object(value, where)
    only_known(document, where, ("signature", "tensor"))
    return Explanation(
        a_text(document.get("signature", EXPLAIN_SIGNATURE), f"{where}.signature"),
        a_text(document.get("tensor", MAPS_TENSOR), f"{where}.tensor"),
    )
