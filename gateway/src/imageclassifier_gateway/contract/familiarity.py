"""How far a picture may be from the training pictures of a model before its prediction has no label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .checks import ContractError, a_list, a_number, a_text, an_object, only_known, required

DISTANCE_TENSOR = "distance"
UNFAMILIAR_MESSAGE = "This does not look like anything I was trained on."
#: The least share that a rule may have. Beyond a lower quantile, most pictures of any kind would be refused.
LEAST_BEYOND = 0.5


@dataclass(frozen=True)
class Unfamiliar:
    """Pictures farther away than the share `beyond` of the training pictures have no label, and this message.

    With `is_ignored`, every picture has a label, however far away it is.
    """

    beyond: float
    message: str = UNFAMILIAR_MESSAGE
    is_ignored: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The rule as plain JSON values."""
        return {"beyond": self.beyond, "message": self.message}


@dataclass(frozen=True)
class UnfamiliarChange:
    """What the spec changes in the rule of a model; None leaves a part as it is."""

    beyond: float | None = None
    message: str | None = None
    is_ignored: bool = False


@dataclass(frozen=True)
class Familiarity:
    """The output of a model that says how far a picture is from its training pictures.

    `quantiles` are pairs of a share and the distance that this share of the training pictures has at most,
    both ascending. Each training picture was measured by a model that had not seen it.
    """

    quantiles: tuple[tuple[float, float], ...]
    unfamiliar: Unfamiliar
    tensor: str = DISTANCE_TENSOR

    @cached_property
    def limit(self) -> float | None:
        """The distance beyond which a picture is unfamiliar; None if none is."""
        if self.unfamiliar.is_ignored:
            return None
        shares, distances = zip(*self.quantiles, strict=True)
        return float(np.interp(self.unfamiliar.beyond, shares, distances))

    def is_unfamiliar(self, distance: float) -> bool:
        """Whether a picture at this distance is beyond the limit, with the precision of float32."""
        limit = self.limit
        return limit is not None and bool(np.float32(distance) > np.float32(limit))

    def distances(self, outputs: NDArray[Any]) -> NDArray[np.float64]:
        """The output tensor of a batch as distances, float64 `(batch,)`.

        Raises ContractError for another shape, or for a value that is no distance.
        """
        values = np.asarray(outputs, dtype=np.float64)
        if values.ndim == 0 or values.size != len(values):
            raise ContractError(
                f"The model's output '{self.tensor}' has shape {values.shape}; its contract says that it has "
                "one distance for each picture, so it needs (batch)."
            )
        if not (values >= 0).all():  # also for NaN
            raise ContractError(f"The model's output '{self.tensor}' is not a distance: {values.min():g}.")
        return values.reshape(-1)

    def changed(self, change: UnfamiliarChange) -> Familiarity:
        """The same measure with the rule of the spec."""
        rule = Unfamiliar(
            self.unfamiliar.beyond if change.beyond is None else change.beyond,
            self.unfamiliar.message if change.message is None else change.message,
            change.is_ignored,
        )
        return replace(self, unfamiliar=rule)

    def to_dict(self) -> dict[str, Any]:
        """The measure and its rule as plain JSON values."""
        return {
            "tensor": self.tensor,
            "quantiles": [list(each) for each in self.quantiles],
            "unfamiliar": self.unfamiliar.to_dict(),
        }


def parse_familiarity(value: Any, where: str = "familiarity") -> Familiarity | None:
    """The measure in a contract; None if there is none. Raises ContractError."""
    if value is None:
        return None
    document = an_object(value, where)
    only_known(document, where, ("tensor", "quantiles", "unfamiliar"))
    rule = an_object(required(document, "unfamiliar", where), f"{where}.unfamiliar")
    only_known(rule, f"{where}.unfamiliar", ("beyond", "message"))
    return Familiarity(
        quantiles=_quantiles(required(document, "quantiles", where), f"{where}.quantiles"),
        unfamiliar=Unfamiliar(
            a_number(required(rule, "beyond", where), f"{where}.unfamiliar.beyond", LEAST_BEYOND, 1.0),
            a_text(rule.get("message", UNFAMILIAR_MESSAGE), f"{where}.unfamiliar.message"),
        ),
        tensor=a_text(document.get("tensor", DISTANCE_TENSOR), f"{where}.tensor"),
    )


def parse_unfamiliar(value: Any, where: str = "unfamiliar") -> UnfamiliarChange | None:
    """The rule of the spec in a routing file or a plan; None if there is none. Raises ContractError."""
    if value is None:
        return None
    document = an_object(value, where)
    only_known(document, where, ("beyond", "message", "ignored"))
    beyond, message, ignored = (document.get(key) for key in ("beyond", "message", "ignored"))
    if ignored not in (None, True, False):
        raise ContractError(f"{where}.ignored must be true or false, not {ignored!r:.60}.")
    return UnfamiliarChange(
        None if beyond is None else a_number(beyond, f"{where}.beyond", LEAST_BEYOND, 1.0),
        None if message is None else a_text(message, f"{where}.message"),
        bool(ignored),
    )


def _quantiles(value: Any, where: str) -> tuple[tuple[float, float], ...]:
    pairs: list[tuple[float, float]] = []
    for index, each in enumerate(a_list(value, where)):
        pair = a_list(each, f"{where}[{index}]")
        if len(pair) != 2:
            raise ContractError(f"{where}[{index}] must have a share and a distance, not {len(pair)} values.")
        share = a_number(pair[0], f"{where}[{index}][0]", 0.0, 1.0)
        pairs.append((share, a_number(pair[1], f"{where}[{index}][1]", 0.0, float(np.finfo(np.float32).max))))
    if not _ascend([share for share, _ in pairs], strictly=True) or not _ascend([d for _, d in pairs]):
        raise ContractError(f"{where} must ascend: each share and each distance follows a smaller one.")
    if not pairs or pairs[0][0] > LEAST_BEYOND or pairs[-1][0] < 1.0:
        raise ContractError(f"{where} must go from a share of at most {LEAST_BEYOND:g} to 1.")
    return tuple(pairs)


def _ascend(values: Sequence[float], *, strictly: bool = False) -> bool:
    return all(a < b or (a == b and not strictly) for a, b in pairwise(values))
