"""Fits the linear head on frozen features: multinomial logistic regression.

An inner cross-validation chooses the strength of the regularisation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedGroupKFold

from ..networks.head import Head

#: scikit-learn's C, the inverse of the weight of the penalty. The features have unit variance.
STRENGTHS = (0.003, 0.01, 0.03, 0.1)
_INNER_FOLDS = 3


@dataclass(frozen=True)
class FittedHead:
    """A head, and the strength of regularisation that the inner cross-validation chose."""

    head: Head
    strength: float


def fit(
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
    *,
    balanced: bool,
    seed: int,
) -> FittedHead:
    """Fit a head with the strength that has the lowest log loss in an inner cross-validation.

    `features` is `(n, features)`. Rows with the same number in `groups` are views or copies of one image, and
    stay on the same side of each inner split. `balanced` weighs each class by the inverse of its frequency.
    """
    splitter = StratifiedGroupKFold(_INNER_FOLDS, shuffle=True, random_state=seed)
    splits = list(splitter.split(features, labels, groups))
    classes = np.unique(labels)
    losses = []
    for strength in STRENGTHS:
        fold_losses = []
        for inside, outside in splits:
            head = _fit(features[inside], labels[inside], strength, balanced)
            fold_losses.append(
                log_loss(labels[outside], head.probabilities(features[outside]), labels=classes)
            )
        losses.append(np.mean(fold_losses))
    strength = STRENGTHS[int(np.argmin(losses))]
    return FittedHead(_fit(features, labels, strength, balanced), strength)


def _fit(features: NDArray[np.float32], labels: NDArray[np.int64], strength: float, balanced: bool) -> Head:
    mean = features.mean(axis=0)
    deviation = features.std(axis=0) + 1e-3  # many features of a ReLU network are almost always zero
    model = LogisticRegression(C=strength, class_weight="balanced" if balanced else None, max_iter=1000)
    model.fit((features - mean) / deviation, labels)
    kernel, bias = model.coef_, model.intercept_
    if len(model.classes_) == 2:  # scikit-learn returns one column; softmax(0, z) is sigmoid(z)
        kernel, bias = np.concatenate([np.zeros_like(kernel), kernel]), np.concatenate([[0.0], bias])
    kernel = kernel / deviation
    bias = bias - kernel @ mean
    return Head(kernel.T.astype(np.float32), bias.astype(np.float32))
