"""Chooses temperature and threshold from out-of-fold predictions, and applies them honestly.

The temperature divides the logits, so that the probabilities are neither too high nor too low (Guo et al.,
"On calibration of modern neural networks", ICML 2017). The second of two classes is predicted if its
probability is at least the threshold. For the figures of a cross-validation, both are chosen on the other
folds, so that no image takes part in the choice by which it is judged.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from . import metrics
from .threshold_rule import DEFAULT_THRESHOLD, ThresholdRule

#: Log temperatures: from 0.14 to 7.4. Predictions beyond that are worthless or perfect.
_RANGE = (-2.0, 2.0)
_SMALLEST = 1e-12


@dataclass(frozen=True)
class OutOfFold:
    """Out-of-fold predictions: probabilities `(repeats, n, classes)` and the fold of each, `(repeats, n)`."""

    probabilities: NDArray[np.float64]
    folds: NDArray[np.int64]
    labels: NDArray[np.int64]

    def pooled(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """The predictions of all repeats, with their labels."""
        repeats, _, classes = self.probabilities.shape
        return self.probabilities.reshape(-1, classes), np.tile(self.labels, repeats)


@dataclass(frozen=True)
class OperatingPoint:
    """A temperature and a threshold. `note` is a sentence for the user if the rule could not be kept."""

    temperature: float = 1.0
    threshold: float = DEFAULT_THRESHOLD
    note: str = ""

    def apply(self, probabilities: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """The calibrated probabilities, and the predicted classes."""
        calibrated = with_temperature(probabilities, self.temperature)
        return calibrated, metrics.predicted_classes(calibrated, self.threshold)


def choose(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64], rule: ThresholdRule, *, calibrate: bool
) -> OperatingPoint:
    """Choose temperature and threshold for these out-of-fold predictions `(n, classes)`."""
    temperature = _temperature(probabilities, labels) if calibrate else 1.0
    if rule.by == "fixed" or probabilities.shape[1] != 2:
        return OperatingPoint(temperature, rule.value if rule.by == "fixed" else DEFAULT_THRESHOLD)
    threshold, note = _threshold(with_temperature(probabilities, temperature)[:, 1], labels, rule)
    return OperatingPoint(temperature, threshold, note)


def cross_fitted(
    predictions: OutOfFold, rule: ThresholdRule, *, calibrate: bool
) -> list[tuple[NDArray[np.float64], NDArray[np.int64]]]:
    """The calibrated probabilities and the predicted classes of each repeat.

    The operating point of each fold is chosen on the other folds.
    """
    results = []
    for probabilities, folds in zip(predictions.probabilities, predictions.folds, strict=True):
        calibrated, predicted = np.empty_like(probabilities), np.empty_like(predictions.labels)
        for fold in np.unique(folds):
            inside = folds == fold
            point = choose(probabilities[~inside], predictions.labels[~inside], rule, calibrate=calibrate)
            calibrated[inside], predicted[inside] = point.apply(probabilities[inside])
        results.append((calibrated, predicted))
    return results


def with_temperature(probabilities: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Divide the logits of probabilities `(n, classes)` by the temperature."""
    logits = np.log(np.maximum(probabilities, _SMALLEST)) / temperature
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponents / exponents.sum(axis=1, keepdims=True))


def _temperature(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    count, classes = probabilities.shape
    # Platt's targets: few images that are all correct must not make the model certain of everything.
    doubt = 2 / (count + 2)
    targets = np.full(probabilities.shape, doubt / classes)
    targets[np.arange(count), labels] += 1 - doubt

    def loss(log_temperature: float) -> float:
        calibrated = with_temperature(probabilities, float(np.exp(log_temperature)))
        return float(-(targets * np.log(np.maximum(calibrated, _SMALLEST))).sum(axis=1).mean())

    return float(np.exp(minimize_scalar(loss, bounds=_RANGE, method="bounded").x))


def _threshold(
    second: NDArray[np.float64], labels: NDArray[np.int64], rule: ThresholdRule
) -> tuple[float, str]:
    """The best threshold between two neighbouring probabilities; of equals, the one nearest to 0.5."""
    ordered = np.argsort(-second, kind="stable")
    values, positive = second[ordered], labels[ordered] == 1
    # Cut k predicts the second class for the k most probable images.
    hits = np.concatenate([[0], np.cumsum(positive)])
    predicted = np.arange(len(values) + 1)
    thresholds = np.concatenate([[1.0], (values[:-1] + values[1:]) / 2, [0.0]])
    possible = np.concatenate([[True], values[:-1] > values[1:], [True]])
    total = int(positive.sum())
    precision = np.where(predicted > 0, hits / np.maximum(predicted, 1), 1.0)
    correct = hits + (len(values) - total) - (predicted - hits)
    f1 = 2 * hits / np.maximum(predicted + total, 1)
    note = ""
    if rule.by == "precision":
        possible &= predicted > 0
        enough = possible & (precision >= rule.value)
        if enough.any():
            score = np.where(enough, hits, -1)
        else:
            score = np.where(possible, precision, -1)
            note = (
                f"No threshold holds a precision of {rule.value:g} on the out-of-fold predictions. The best, "
                f"{score.max():.3f}, is used."
            )
    else:
        score = np.where(possible, correct if rule.by == "accuracy" else f1, -1)
    best = np.flatnonzero(score >= score.max())
    return float(thresholds[best[np.abs(thresholds[best] - 0.5).argmin()]]), note
