"""Fits the linear head on frozen features: multinomial logistic regression.

An inner cross-validation chooses the strength of the regularisation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from ..networks.head import Head
from ..pictures.splits import grouped_folds

#: Values of scikit-learn's C, the inverse of the weight of the L2 penalty. The features have unit variance.
STRENGTHS = (0.003, 0.01, 0.03, 0.1)
_INNER_FOLDS = 3
_DEFAULT = 0.01


@dataclass(frozen=True)
class FittedHead:
    """A head, and the strength (scikit-learn's C) that the inner cross-validation chose."""

    head: Head
    strength: float


@dataclass(frozen=True)
class Penalty:
    """How a head is fitted: the number of classes, and whether each weighs the inverse of its frequency."""

    classes: int
    balanced: bool


def fit(
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
    penalty: Penalty,
    seed: int,
) -> FittedHead:
    """Fit a head with the strength (C) that has the lowest log loss in an inner cross-validation.

    `features` is `(n, features)`. Rows with the same number in `groups` are views, copies or near duplicates
    of one image, and stay on the same side of each inner split. With too few images for inner splits, the
    strength is 0.01.
    """
    losses: dict[float, list[float]] = {strength: [] for strength in STRENGTHS}
    for inside, outside in grouped_folds(labels, groups, _INNER_FOLDS, seed):
        for strength in STRENGTHS:
            head = _fit(features[inside], labels[inside], strength, penalty)
            predicted = head.probabilities(features[outside])
            losses[strength].append(
                float(log_loss(labels[outside], predicted, labels=np.arange(penalty.classes)))
            )
    strength = min(STRENGTHS, key=lambda each: np.mean(losses[each])) if losses[STRENGTHS[0]] else _DEFAULT
    return FittedHead(_fit(features, labels, strength, penalty), strength)


def _fit(features: NDArray[np.float32], labels: NDArray[np.int64], strength: float, penalty: Penalty) -> Head:
    mean = features.mean(axis=0)
    deviation = features.std(axis=0) + 1e-3  # many features of a ReLU network are almost always zero
    present = np.unique(labels)
    kernel = np.zeros((penalty.classes, features.shape[1]))
    # A class without an image in this part of the data is rarer than any other.
    bias = np.full(penalty.classes, -np.log(len(labels) + penalty.classes))
    bias[present] = 0.0
    if len(present) > 1:
        model = LogisticRegression(
            C=strength, class_weight="balanced" if penalty.balanced else None, max_iter=1000
        )
        model.fit((features - mean) / deviation, labels)
        if len(present) == 2:  # scikit-learn returns one column; softmax(0, z) is sigmoid(z)
            kernel[present[1]], bias[present[1]] = model.coef_[0], model.intercept_[0]
        else:
            kernel[present], bias[present] = model.coef_, model.intercept_
    kernel = kernel / deviation
    bias = bias - kernel @ mean
    return Head(kernel.T.astype(np.float32), bias.astype(np.float32))
