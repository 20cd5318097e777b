"""Chooses the champion: the cheapest training that is not worse than the best one.

The rule is the one-standard-error rule (Breiman et al., Classification and Regression Trees, 1984), on paired
differences: a training is not worse than the best one if its metric is worse by at most one standard error of
the differences, image by image. Of these trainings, the one that takes the fewest milliseconds per image is
the champion. Among equally fast ones it is the smallest, then the one with the better metric.

The figure of the best of many trainings is too good, because luck helped to make it the best. So the champion
gets the figures of the choice, by nested cross-validation: for each fold, the rule chooses by the predictions
for the other folds, and the chosen training is measured on this fold. `nested` does the same with trainings
that are fitted again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..judging.metrics import wilson_interval
from .costs import Cost
from .leaderboard import Estimate
from .runs import Run


@dataclass(frozen=True)
class Nested:
    """The figures of the choice: each image is predicted by a training that was chosen without its fold.

    `chosen` has the name of the training for each fold. `refitted` is true if the choice for a fold was made
    with networks that never saw the fold (`nested.measure`). Else it was made by the out-of-fold predictions
    of the other folds, whose networks saw it.
    """

    accuracy: float
    accuracy_interval: tuple[float, float]
    log_loss: Estimate
    chosen: tuple[str, ...]
    refitted: bool = False

    @classmethod
    def of(
        cls,
        losses: NDArray[np.float64],
        correct: NDArray[np.float64],
        chosen: Sequence[str],
        *,
        refitted: bool = False,
    ) -> Nested:
        """The figures of the log losses (nats) and of the right predictions (1 or 0), both `(n,)`."""
        count, hits = len(correct), float(correct.sum())
        interval = wilson_interval(hits, count)
        return cls(hits / count, interval, Estimate.of(losses), tuple(chosen), refitted)


@dataclass(frozen=True)
class Champion:
    """The chosen training, the best one, the names of all that are not worse, and the figures of the choice.

    `nested` is None if the trainings have different folds.
    """

    run: Run
    best: Run
    not_worse: tuple[str, ...]
    nested: Nested | None


def choose(runs: Sequence[Run], metric: str, costs: Mapping[str, Cost]) -> Champion:
    """Choose among trainings on the same images; `costs` has the cost of each by its name."""
    order = [costs[run.name] for run in runs]
    losses = np.stack([run.losses for run in runs])
    wrong = np.stack([1 - run.correct for run in runs])
    measured = losses if metric == "log_loss" else wrong
    best, inside = not_worse(measured)
    chosen = cheapest(inside, measured, order)
    return Champion(
        runs[chosen], runs[best], tuple(runs[i].name for i in inside), _nested(runs, metric, order)
    )


def not_worse(penalties: NDArray[np.float64]) -> tuple[int, list[int]]:
    """The best row of `(runs, n)` penalties, and all rows within one standard error of the difference."""
    best = int(penalties.mean(axis=1).argmin())
    differences = [Estimate.of(row - penalties[best]) for row in penalties]
    return best, [i for i, each in enumerate(differences) if each.mean <= each.standard_error]


def cheapest(candidates: Sequence[int], penalties: NDArray[np.float64], costs: Sequence[Cost]) -> int:
    """The fastest of these rows; of equally fast ones the smallest, then the better one."""
    return min(
        candidates,
        key=lambda i: (costs[i].milliseconds, costs[i].megabytes, float(penalties[i].mean()), i),
    )


def _nested(runs: Sequence[Run], metric: str, costs: Sequence[Cost]) -> Nested | None:
    folds = runs[0].folds
    if any(not np.array_equal(run.folds, folds) for run in runs):
        return None
    losses = np.stack([run.first_losses for run in runs])
    correct = np.stack([run.first_correct for run in runs])
    measured = losses if metric == "log_loss" else 1 - correct
    judged_losses, judged_correct = np.empty(len(folds)), np.empty(len(folds))
    chosen = []
    for fold in np.unique(folds):
        inside = folds == fold
        others = measured[:, ~inside]
        index = cheapest(not_worse(others)[1], others, costs)
        chosen.append(runs[index].name)
        judged_losses[inside], judged_correct[inside] = losses[index, inside], correct[index, inside]
    return Nested.of(judged_losses, judged_correct, chosen)
