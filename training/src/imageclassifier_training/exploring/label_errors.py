"""Finds probable label errors with confident learning (Northcutt, Jiang and Chuang, JAIR 70, 2021).

An image counts as another class when the out-of-fold probability of that class reaches the mean that images
with its label get, and is the largest of those that do. The library of the authors, cleanlab, is under the
AGPL and needs pandas; the part that is needed here is this module.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class LabelDoubt:
    """An image whose label is doubtful.

    `suggested` is the class that the predictions prefer. `quality` is the out-of-fold probability of the
    given label; the lower, the more doubtful. `probable` is true for what confident learning counts as an
    error, and false for images that are only near to it.
    """

    index: int
    suggested: int
    quality: float
    probable: bool


def find(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64], doubtful_below: float
) -> list[LabelDoubt]:
    """Find the images with doubtful labels, the most doubtful first.

    `probabilities` are out-of-fold, `(n, classes)`; rows of zeros were not predicted. Besides the probable
    errors, images whose given label has a probability below `doubtful_below` are returned.
    """
    known = probabilities.sum(axis=1) > 0.5
    thresholds = np.array(
        [
            probabilities[known & (labels == label), label].mean()
            if (known & (labels == label)).any()
            else 2.0
            for label in range(probabilities.shape[1])
        ]
    )
    reached = np.where(probabilities >= thresholds, probabilities, -1.0)
    confident = np.where(reached.max(axis=1) >= 0, reached.argmax(axis=1), labels)
    quality = probabilities[np.arange(len(labels)), labels]
    probable = known & (confident != labels)
    others = probabilities.copy()
    others[np.arange(len(labels)), labels] = -1.0
    suggested = np.where(probable, confident, others.argmax(axis=1))
    found = np.flatnonzero(probable | (known & (quality < doubtful_below)))
    doubts = [LabelDoubt(int(i), int(suggested[i]), float(quality[i]), bool(probable[i])) for i in found]
    return sorted(doubts, key=lambda each: each.quality)
