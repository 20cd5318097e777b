"""Finds images that resemble no other: their features are far from their nearest neighbours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_NEIGHBOURS = 10
_BLOCK = 1024
#: The distance of outliers from the third quartile, in interquartile ranges (Tukey's far outliers).
_FAR = 3.0


def distances(features: NDArray[np.float32], groups: NDArray[np.int64]) -> NDArray[np.float64]:
    """The mean cosine distance of each image to its ten nearest neighbours of other groups, float64 `(n,)`.

    `features` is `(n, features)`. Images with the same number in `groups` are copies or near duplicates.
    """
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-9)
    count = min(_NEIGHBOURS, len(unit) - 1)
    found = np.zeros(len(unit))
    for start in range(0, len(unit), _BLOCK):
        similar = unit[start : start + _BLOCK] @ unit.T
        # Copies do not count as neighbours: an outlier of which there are two copies is still an outlier.
        similar[groups[start : start + _BLOCK, None] == groups[None, :]] = -1.0
        nearest = np.partition(similar, -count, axis=1)[:, -count:] if count else similar
        found[start : start + _BLOCK] = 1 - nearest.mean(axis=1)
    return found


def find(distance: NDArray[np.float64]) -> list[int]:
    """The indices of the outliers (Tukey, Exploratory Data Analysis, 1977), the farthest first."""
    first, third = np.quantile(distance, [0.25, 0.75])
    far = np.flatnonzero(distance > third + _FAR * (third - first))
    return [int(index) for index in far[np.argsort(-distance[far])]]
