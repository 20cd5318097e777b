"""When a prediction is "I don't know": its probability is below a limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .checks import a_number, a_text, an_object, only_known, required


@dataclass(frozen=True)
class Unsure:
    """Predictions with a probability below `below` have no label, and this message."""

    below: float
    message: str = "I don't know."

    def applies_to(self, probability: float) -> bool:
        """Whether a probability is below the limit, with the precision of float32, which models return.

        >>> Unsure(below=0.7).applies_to(float(np.float32(0.7)))
        False
        """
        return bool(np.float32(probability) < np.float32(self.below))

    def to_dict(self) -> dict[str, Any]:
        """The rule as plain JSON values."""
        return {"below": self.below, "message": self.message}


def parse_unsure(value: Any, where: str = "unsure") -> Unsure | None:
    """The rule in a contract, a routing file or a plan; None if there is none. Raises ContractError."""
    if value is None:
        return None
    document = an_object(value, where)
    only_known(document, where, ("below", "message"))
    return Unsure(
        below=a_number(required(document, "below", where), f"{where}.below", 0.0, 1.0),
        message=a_text(document.get("message", Unsure.message), f"{where}.message"),
    )
