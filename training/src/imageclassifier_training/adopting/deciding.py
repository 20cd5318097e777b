"""Decides what a model does not say: how its pixels are scaled, and what its outputs are.

Each decision has a reason in words. If there is no good reason, the message names the option to set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from ..errors import TrainingError
from ..words import counted
from .scaling import NONE, ZERO_TO_ONE, Decided, Scaling
from .structure import Structure

#: Rounding of float16 moves a probability or a sum by less.
_SLACK = 0.01
#: Values of a network that are centred and scaled are within this range; pixels are not.
_MOST_SCALED = 20.0
_SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class Trial:
    """A scaling that was tried, and for which labelled images, `(images,)`, the model was right with it."""

    scaling: Scaling
    is_right: NDArray[np.bool_]

    @property
    def accuracy(self) -> float:
        """The share of the images for which the model was right."""
        return float(self.is_right.mean())


def decide_activation(outputs: NDArray[np.float64], structure: Structure, classes: int) -> tuple[str, str]:
    """The activation of a contract's output, and the reason.

    `outputs` are those of several different pictures, `(pictures, values)`.
    """
    columns = outputs.shape[1]
    are_probabilities = bool(((outputs >= -_SLACK) & (outputs <= 1 + _SLACK)).all())
    sums_to_one = bool((np.abs(outputs.sum(axis=1) - 1) <= _SLACK).all())
    is_single = columns == 1
    if is_single and classes == 2:
        if structure.last == "sigmoid":
            return "none", "its last operation is a sigmoid: the value is the probability of the second class"
        if structure.last == "" and not are_probabilities:
            return "sigmoid-on-logits", (
                f"it returns one value, from {outputs.min():.3g} to {outputs.max():.3g} for the compared "
                "pictures, which is a logit: a sigmoid is added"
            )
    elif structure.last == "softmax" and sums_to_one and are_probabilities:
        return "none", "its last operation is a softmax"
    elif structure.last == "log softmax":
        return "softmax", "its last operation is the logarithm of a softmax: a softmax is added"
    elif structure.last == "sigmoid" and are_probabilities:
        return "sigmoid", (
            "its last operation is a sigmoid for each class, so several classes can be true at once"
        )
    elif structure.last == "" and are_probabilities and sums_to_one:
        return "none", "its outputs are probabilities that sum to one for each compared picture"
    elif structure.last == "" and not are_probabilities:
        return "softmax", (
            f"its outputs are from {outputs.min():.3g} to {outputs.max():.3g} for the compared pictures, so "
            "they are logits: a softmax is added. If several classes can be true at once, use --activation "
            "sigmoid-on-logits"
        )
    raise TrainingError(
        f"The outputs of the model are from {outputs.min():.3g} to {outputs.max():.3g}, and neither clearly "
        "probabilities nor logits. Set --activation to none, sigmoid, softmax or sigmoid-on-logits."
    )


def decide_scaling(
    trials: Sequence[Trial], known: Decided | None, structure: Structure, images: str
) -> Decided:
    """The scaling of the pixels. `images` is the folder of the labelled images of the trials.

    The trials decide if one scaling is significantly better than each other one. Otherwise what the model or
    its library says decides.
    """
    best = _best(trials)
    accuracies = ", ".join(
        f"{each.scaling.option.removeprefix('--')} {100 * each.accuracy:.0f} %" for each in trials
    )
    if best is not None:
        return Decided(
            best.scaling,
            f"it suits the {counted(len(best.is_right), 'labelled image')} in {images} best ({accuracies})",
        )
    if known is not None:
        return known
    found = _of_structure(structure)
    if found is not None:
        return found
    tried = ""
    if trials:
        tried = (
            f" The {counted(len(trials[0].is_right), 'labelled image shows', 'labelled images show')} no "
            f"scaling that is clearly better than each other one ({accuracies})."
        )
    raise TrainingError(
        f"It is not known how the pixels of the model are scaled.{tried} Set --preprocess to tf (from -1 to "
        "1), torch, caffe or none, or --scale 1/255 for pixels from 0 to 1"
        + ("." if trials else ", or pass labelled images with --images to find out.")
    )


def _best(trials: Sequence[Trial]) -> Trial | None:
    """The trial that is right more often than each other one, by exact McNemar tests; None if there is none.

    The probabilities do not count: values that are too large make a model too sure, and not better.
    """
    if not trials:
        return None
    best = max(trials, key=lambda each: each.accuracy)
    for each in trials:
        if each is best:
            continue
        better = int((best.is_right & ~each.is_right).sum())
        worse = int((each.is_right & ~best.is_right).sum())
        if better <= worse or binomtest(better, better + worse).pvalue > _SIGNIFICANCE:
            return None
    return best


def _of_structure(structure: Structure) -> Decided | None:
    """The scaling that the first operations of the model leave to others; None if they do not tell."""
    if structure.first is None:
        return Decided(NONE, "the model normalises its pixels itself")
    scale, offset = structure.first
    if (scale, offset) == (1.0, 0.0):
        return None
    ends = (offset, 255 * scale + offset)
    is_centred = abs(scale) == 1.0 and min(ends) < -_MOST_SCALED  # a mean was subtracted, as `caffe` does
    if max(map(abs, ends)) <= _MOST_SCALED or is_centred:
        return Decided(
            NONE, f"the model itself maps pixels from 0 to 255 to {min(ends):.3g} to {max(ends):.3g}"
        )
    ends = (offset, scale + offset)
    if max(map(abs, ends)) <= _MOST_SCALED and scale != 1.0:
        return Decided(
            ZERO_TO_ONE,
            f"the model itself maps values from 0 to 1 to {min(ends):.3g} to {max(ends):.3g}",
        )
    return None
