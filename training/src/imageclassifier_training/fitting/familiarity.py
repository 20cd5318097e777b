"""Measures how far images that a fit has not seen are from the training images.

The exported model returns this distance for each picture, and its contract has the quantiles. A picture
beyond nearly all of them is unlike anything that the model was trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from ..networks.distance import Distance
from ..networks.learned import MeasuredDistance
from .checkpoints import FINAL, fold_name

#: With fewer images, the largest distance says nothing about one image of 200.
LEAST_IMAGES = 200
#: The shares whose distances are recorded. A rule in a contract or a spec interpolates between them.
SHARES = (0.5, 0.75, 0.9, 0.95, 0.975, 0.99, 0.995, 0.998, 1.0)
#: Rounded, so that the file and the contract have the same numbers.
_DECIMALS = 5

Rows = Callable[[NDArray[np.int64], str], NDArray[np.float32]]
"""The features of all images, `(images, features)`, by a network that was fitted on the images with these
indices; the name of the fit is that of its checkpoint."""


def measure(
    rows: Rows, folds: Iterable[tuple[NDArray[np.int64], NDArray[np.int64]]], images: int
) -> MeasuredDistance | None:
    """Fit the distance to all images, and measure it out of fold. None for fewer than LEAST_IMAGES.

    `folds` are the indices of the images of each fit and of those that it has not seen.
    """
    if images < LEAST_IMAGES:
        return None
    unseen = []
    for number, (training, held_out) in enumerate(folds):
        features = rows(training, fold_name(0, number))
        unseen.append(Distance.fit(features[training]).of(features[held_out]))
    distances = np.concatenate(unseen)
    everything = np.arange(images)
    return MeasuredDistance(Distance.fit(rows(everything, FINAL)), quantiles(distances), len(distances))


def quantiles(distances: NDArray[np.float64]) -> tuple[tuple[float, float], ...]:
    """The (share, distance) pairs of distances `(n,)`."""
    values = np.quantile(distances, SHARES)
    return tuple((share, round(float(value), _DECIMALS)) for share, value in zip(SHARES, values, strict=True))
