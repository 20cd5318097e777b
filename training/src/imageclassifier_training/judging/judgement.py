"""The predictions of a model on labelled images, with their metrics and mistakes: what a report shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..pictures.dataset import Picture
from . import metrics


@dataclass(frozen=True)
class Mistake:
    """A misclassified image, and the predicted probability of its true class."""

    path: Path
    true_class: str
    predicted_class: str
    true_probability: float


@dataclass(frozen=True)
class Judgement:
    """Probabilities `(n, classes)` and true classes `(n,)` of images; the threshold is for two classes.

    `decided` are the predicted classes, if they were not made with one threshold.
    """

    class_names: tuple[str, ...]
    threshold: float
    pictures: tuple[Picture, ...]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    decided: NDArray[np.int64] | None = None

    @cached_property
    def predicted(self) -> NDArray[np.int64]:
        """The predicted class of each image."""
        if self.decided is not None:
            return self.decided
        return metrics.predicted_classes(self.probabilities, self.threshold)

    @cached_property
    def metrics(self) -> metrics.Metrics:
        """All metrics."""
        return metrics.compute(self.probabilities, self.labels, predicted=self.predicted)

    @cached_property
    def mistakes(self) -> tuple[Mistake, ...]:
        """The misclassified images, the most confident mistakes first."""
        names = self.class_names
        mistakes = [
            Mistake(
                self.pictures[i].path,
                names[self.labels[i]],
                names[self.predicted[i]],
                float(self.probabilities[i, self.labels[i]]),
            )
            for i in np.flatnonzero(self.predicted != self.labels)
        ]
        return tuple(sorted(mistakes, key=lambda each: each.true_probability))

    def confusions(self) -> list[tuple[str, str, int]]:
        """(true class, predicted class, images) of each pair that was confused, the most frequent first."""
        return ranked_confusions(self.metrics.confusion, self.class_names)

    def subset(self, chosen: NDArray[np.bool_]) -> Judgement:
        """The chosen images."""
        return Judgement(
            self.class_names,
            self.threshold,
            tuple(self.pictures[i] for i in np.flatnonzero(chosen)),
            self.labels[chosen],
            self.probabilities[chosen],
            None if self.decided is None else self.decided[chosen],
        )


def ranked_confusions(confusion: Sequence[Sequence[int]], names: Sequence[str]) -> list[tuple[str, str, int]]:
    """(true class, predicted class, images) of each confused pair of a matrix, the most frequent first."""
    matrix = np.array(confusion)
    np.fill_diagonal(matrix, 0)
    rows, columns = np.nonzero(matrix)
    pairs = [
        (names[row], names[column], int(matrix[row, column]))
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
    ]
    return sorted(pairs, key=lambda pair: -pair[2])
