"""Ranks trainings, with an interval for each figure and for each difference to the best one.

All trainings predicted the same images out of fold, so their differences are paired: an image that is hard
for all of them does not blur the difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..judging.metrics import wilson_interval
from .costs import Cost
from .runs import Run

METRICS = ("log_loss", "accuracy")
_Z95 = 1.959964


@dataclass(frozen=True)
class Estimate:
    """The mean of a figure over the images, and its standard error."""

    mean: float
    standard_error: float

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> Estimate:
        """Estimate the mean of independent values."""
        spread = float(values.std(ddof=1)) if len(values) > 1 else 0.0
        return cls(float(values.mean()), spread / float(np.sqrt(len(values))))

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval."""
        half = _Z95 * self.standard_error
        return self.mean - half, self.mean + half


@dataclass(frozen=True)
class Row:
    """A training with its place: its figures, and how much worse than the best one it is.

    `behind_accuracy` and `behind_log_loss` are paired differences on the same images, positive if the
    training is worse than the best one. `cost` is None if it was not measured.
    """

    place: int
    run: Run
    accuracy: float
    accuracy_interval: tuple[float, float]
    log_loss: Estimate
    behind_accuracy: Estimate
    behind_log_loss: Estimate
    cost: Cost | None

    def behind(self, metric: str) -> Estimate:
        """How much worse than the best training it is by this metric."""
        return self.behind_log_loss if metric == "log_loss" else self.behind_accuracy


def rank(runs: Sequence[Run], metric: str, costs: Mapping[str, Cost]) -> list[Row]:
    """Rank trainings on the same images by a metric of `METRICS`, the best one first.

    `costs` has the cost of each training by its name. Of equally good ones, the cheaper one comes first.
    """

    def cost(run: Run) -> tuple[float, float]:
        known = costs.get(run.name)
        return (known.milliseconds, known.megabytes) if known else (np.inf, np.inf)

    ordered = sorted(runs, key=lambda run: (float(penalties(run, metric).mean()), *cost(run)))
    best = ordered[0]
    return [
        Row(
            place=place,
            run=run,
            accuracy=float(run.correct.mean()),
            accuracy_interval=wilson_interval(float(run.correct.sum()), len(run.correct)),
            log_loss=Estimate.of(run.losses),
            behind_accuracy=Estimate.of(best.correct - run.correct),
            behind_log_loss=Estimate.of(run.losses - best.losses),
            cost=costs.get(run.name),
        )
        for place, run in enumerate(ordered, start=1)
    ]


def penalties(run: Run, metric: str) -> NDArray[np.float64]:
    """What each image adds to a metric of `METRICS`, float64 `(n,)`; a lower value is better."""
    return run.losses if metric == "log_loss" else 1 - run.correct
