"""Splits of a data set: folds for cross-validation, and a hold-out for early stopping.

All splits are stratified by class and grouped by content: copies and near duplicates of an image stay on the
same side.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from ..files import shown
from ..words import counted
from . import near_duplicates
from .dataset import Dataset

_HOLD_OUT_FOLDS = 10

Split = tuple[NDArray[np.int64], NDArray[np.int64]]
"""The indices of the images to train on, and of those that are held out."""


def problems(dataset: Dataset, folds: int) -> list[str]:
    """The reason why a cross-validation with `folds` folds (0: none) is impossible; else empty."""
    counts = dataset.distinct_counts()
    if not folds or not all(counts.values()):
        return []  # an empty class has its own message
    found = [
        f"Class '{name}' has one distinct image. Cross-validation needs at least two of each class, one to "
        "train on and one to measure. Add images, remove the class, or set --folds 0."
        for name, count in counts.items()
        if count == 1
    ]
    if max(counts.values()) < folds:
        largest = max(counts, key=lambda name: counts[name])
        found.append(
            f"No class has enough distinct images for {folds} folds: the largest, '{largest}', has "
            f"{counts[largest]}. Add images, or lower --folds."
        )
    return found


def notes(dataset: Dataset, folds: int) -> list[str]:
    """Sentences about groups of near duplicates and about classes that are too small to be measured well."""
    said = []
    repeated = len(dataset.pictures) - len(np.unique(dataset.groups))
    if repeated:
        said.append(
            counted(
                repeated,
                "image is a copy or near duplicate of another one. It stays on the same side of every split.",
                "images are copies or near duplicates of others. They stay on the same side of every split.",
            )
        )
    if small := {name: count for name, count in dataset.distinct_counts().items() if 1 < count < folds}:
        listed = ", ".join(f"'{name}' ({count})" for name, count in list(small.items())[:5])
        more = f" and {len(small) - 5} more" if len(small) > 5 else ""
        said.append(
            f"Classes with fewer distinct images than the {folds} folds: {listed}{more}. Their figures are "
            "uncertain: add images."
        )
    return said


def folds(dataset: Dataset, count: int, seed: int) -> Iterator[Split]:
    """Yield the splits of a cross-validation with `count` folds, for a data set without `problems`."""
    yield from grouped_folds(dataset.labels, dataset.groups, count, seed)


def grouped_folds(
    labels: NDArray[np.int64], groups: NDArray[np.int64], count: int, seed: int
) -> Iterator[Split]:
    """Yield stratified splits that keep each group on one side.

    The only group of a class is never held out, so that the class can be learned. Yields fewer splits when no
    class has `count` other groups, and none when no class has two.
    """
    only = [np.unique(groups[labels == label]) for label in np.unique(labels)]
    fixed = np.isin(groups, [each[0] for each in only if len(each) == 1])
    movable = np.flatnonzero(~fixed)
    largest = max((len(np.setdiff1d(each, groups[fixed])) for each in only), default=0)
    count = min(count, largest)
    if count < 2:
        return
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # scikit-learn warns of classes that are smaller than the number of folds; `notes` says so.
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        for inside, outside in splitter.split(movable, labels[movable], groups[movable]):
            if len(outside):
                yield np.sort(np.concatenate([np.flatnonzero(fixed), movable[inside]])), movable[outside]


def hold_out(dataset: Dataset, indices: NDArray[np.int64], seed: int) -> Split:
    """Split these images into those to train on and a hold-out of about 10 %.

    When all classes have fewer than ten images, the hold-out is larger, up to a half. It is empty when no
    class has two distinct images.
    """
    splits = grouped_folds(dataset.labels[indices], dataset.groups[indices], _HOLD_OUT_FOLDS, seed)
    everything = np.arange(len(indices))
    training, held_out = next(splits, (everything, everything[:0]))
    return indices[training], indices[held_out]


def overlap(training: Dataset, validation: Dataset) -> list[str]:
    """Say which classes and images of the validation set do not fit to the training set."""
    if unknown := sorted(set(validation.classes) - set(training.classes)):
        return [
            f"The validation images have the class '{unknown[0]}', but the training images have only "
            f"{', '.join(training.classes)}. Use the same class names in both."
        ]
    known = {picture.digest: picture.path for picture in training.pictures}
    return [
        f"{shown(each.path)}: the training images hold the same image, {shown(known[each.digest])}. "
        "Remove one of the two."
        for each in validation.pictures
        if each.digest in known
    ]


def without_near_duplicates(training: Dataset, validation: Dataset) -> Dataset:
    """Align the classes of the validation set, and leave out near duplicates of training images."""
    labels = [training.classes.index(name) for name in validation.classes]
    pictures = tuple(replace(each, label=labels[each.label]) for each in validation.pictures)
    groups = near_duplicates.groups([*training.pictures, *pictures])
    count = len(training.pictures)
    apart = np.flatnonzero(~np.isin(groups[count:], groups[:count]))
    return replace(validation, classes=training.classes, pictures=pictures).subset(apart)
