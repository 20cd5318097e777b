"""Checks of the probabilities of a model from elsewhere for different pictures. Pure.

Such a model has no golden pictures, and one gray picture shows neither logits nor a wrong scale.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ..contract import Contract, ModelInput
from ..limits.decoding import Pixels
from .outcome import RejectedError

#: How far the sum of the probabilities of a picture may be from one. Sums of float16 values need it.
_SUM_TOLERANCE = 0.01
#: How far two results for the same picture may differ, in one call or in two.
_SAME_TOLERANCE = 0.01
#: A model that tells the samples apart by less does not look at the picture, or gets values of a wrong scale.
_LEAST_SPREAD = 0.001

Rows = NDArray[np.float64]


def sample_pictures(wanted: ModelInput) -> dict[str, Pixels]:
    """Pictures of the size of the input, by name: as different as can be."""
    shape = (wanted.height, wanted.width, 3)
    across = np.linspace(0, 255, wanted.width, dtype=np.float64)[None, :, None]
    down = np.linspace(0, 255, wanted.height, dtype=np.float64)[:, None, None]
    gradient = np.concatenate(np.broadcast_arrays(across, down, 255 - across), axis=2).astype(np.uint8)
    return {
        "black": np.zeros(shape, dtype=np.uint8),
        "white": np.full(shape, 255, dtype=np.uint8),
        "gradient": gradient,
        "noise": np.random.default_rng(17).integers(0, 256, shape, dtype=np.uint8),
    }


def check_sums(rows: Mapping[str, Rows], contract: Contract) -> None:
    """Raise RejectedError if the probabilities of a picture do not sum to one, although they should."""
    if not contract.output.sums_to_one:
        return
    for name, row in rows.items():
        total = float(row.sum())
        if abs(total - 1) > _SUM_TOLERANCE:
            raise RejectedError(
                "ContractInvalid",
                f"The probabilities of a {name} picture sum to {total:.3f} and not to 1. If the model "
                "returns logits, set spec.output.activation to softmax; if its classes do not exclude each "
                "other, set it to sigmoid.",
            )


def check_same(rows: Mapping[str, Rows], again: Mapping[str, Rows], how: str) -> None:
    """Raise RejectedError if a picture has other probabilities in `again`; `how` says what was repeated."""
    for name, row in rows.items():
        difference = float(np.abs(row - again[name]).max())
        if difference > _SAME_TOLERANCE:
            raise RejectedError(
                "ContractInvalid",
                f"The probabilities of the same {name} picture differ by {difference:.3f} {how}. Export the "
                "model for inference: dropout, augmentation and batch statistics must be off.",
            )


def spread_warning(rows: Mapping[str, Rows]) -> str | None:
    """The warning about a model whose probabilities do not depend on the picture; None if they do."""
    spread = float(np.ptp(np.stack(list(rows.values())), axis=0).max())
    if spread >= _LEAST_SPREAD:
        return None
    return (
        f"The probabilities of {', '.join(rows)} pictures differ by {spread:.6f} at most, so the model "
        "hardly depends on the picture. A wrong scale is the usual cause: check spec.input.preprocess and "
        "spec.input.rescaling."
    )
