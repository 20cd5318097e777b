"""Splits of a data set: folds for cross-validation, and a hold-out for early stopping.

All splits are stratified by class and grouped by content: copies of an image stay on the same side.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from ..errors import DataError
from .dataset import Dataset

_HOLD_OUT_FOLDS = 10

Split = tuple[NDArray[np.int64], NDArray[np.int64]]
"""The indices of the images to train on, and of those that are held out."""


def folds(dataset: Dataset, count: int, seed: int) -> Iterator[Split]:
    """Yield the splits of a cross-validation with `count` folds.

    Raises DataError when a class has fewer distinct images than there are folds.
    """
    digests = [picture.digest for picture in dataset.pictures]
    for label, name in enumerate(dataset.classes):
        distinct = len({picture.digest for picture in dataset.pictures if picture.label == label})
        if distinct < count:
            raise DataError(
                [
                    f"Class '{name}' has {distinct} distinct images, too few for {count} folds. "
                    "Add images, or lower --folds."
                ]
            )
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    yield from splitter.split(np.zeros(len(digests)), dataset.labels, digests)


def hold_out(dataset: Dataset, indices: NDArray[np.int64], seed: int) -> Split:
    """Split these images into those to train on and a hold-out of about 10 %.

    A class with fewer than ten images makes the hold-out larger, up to a half, so that it holds every class.
    """
    part = dataset.subset(indices)
    count = max(2, min(_HOLD_OUT_FOLDS, *part.counts().values()))
    training, held_out = next(folds(part, count, seed))
    return indices[training], indices[held_out]


def check_disjoint(training: Dataset, validation: Dataset) -> None:
    """Raise DataError when the classes differ, or when an image is in both data sets."""
    if training.classes != validation.classes:
        raise DataError(
            [
                f"The classes differ: the training images have {', '.join(training.classes)}, "
                f"the validation images {', '.join(validation.classes)}. Use the same folder names in both."
            ]
        )
    known = {picture.digest: picture.path for picture in training.pictures}
    both = [picture for picture in validation.pictures if picture.digest in known]
    if both:
        raise DataError(
            [
                f"{each.path}: the training images hold the same image, {known[each.digest]}. "
                "Remove one of the two."
                for each in both
            ]
        )
