"""The leaderboard compares image by image, and the champion is the cheapest training that is not worse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from imageclassifier_training.comparing import champion, leaderboard
from imageclassifier_training.comparing.costs import Cost
from imageclassifier_training.comparing.runs import Run
from imageclassifier_training.networks.architecture import Architecture, Branch

IMAGES = 400


def run_with(name: str, losses: np.ndarray, *, folds: np.ndarray | None = None) -> Run:
    """A training whose images are right if they lose less than log 2."""
    correct = (losses < np.log(2)).astype(float)
    return Run(
        name=name,
        folder=Path(name),
        architecture=Architecture((Branch("vgg16", 224, 224),)),
        settings="",
        class_names=("a", "b"),
        data_digest="sha256:0",
        seconds=1.0,
        digests=tuple(map(str, range(len(losses)))),
        labels=np.zeros(len(losses), np.int64),
        folds=np.arange(len(losses)) % 5 if folds is None else folds,
        losses=losses,
        correct=correct,
        first_losses=losses,
        first_correct=correct,
    )


def hard_and_easy_images() -> np.ndarray:
    return np.random.default_rng(0).exponential(0.3, IMAGES)


def test_a_small_but_steady_difference_counts_because_images_are_paired() -> None:
    losses = hard_and_easy_images()
    steady = losses + 0.01 + np.random.default_rng(1).normal(0, 0.02, IMAGES)
    best, second = leaderboard.rank([run_with("second", steady), run_with("best", losses)], "log_loss", {})
    assert (best.run.name, second.run.name) == ("best", "second")
    assert second.behind_log_loss.interval[0] > 0  # clearly worse
    assert second.log_loss.interval[0] < best.log_loss.interval[1]  # although the intervals overlap
    assert best.behind_log_loss == leaderboard.Estimate(0.0, 0.0)


def test_the_champion_is_the_cheapest_of_those_within_one_standard_error() -> None:
    losses = hard_and_easy_images()
    noise = np.random.default_rng(2).normal(0, 0.2, IMAGES)
    noise -= noise.mean()
    runs = [
        run_with("best", losses),
        run_with("equal", losses + noise + 0.005),
        run_with("worse", losses + noise + 0.05),
    ]
    costs = {"best": Cost(90, 60), "equal": Cost(20, 30), "worse": Cost(5, 10)}
    chosen = champion.choose(runs, "log_loss", costs)
    assert (chosen.best.name, chosen.run.name) == ("best", "equal")
    assert chosen.not_worse == ("best", "equal")


def test_of_equally_fast_trainings_the_smaller_and_then_the_better_one_is_the_champion() -> None:
    losses = hard_and_easy_images()
    noise = np.random.default_rng(2).normal(0, 0.2, IMAGES)
    noise -= noise.mean()
    runs = [
        run_with("best", losses),
        run_with("large", losses + noise),
        run_with("next", losses + noise + 1e-4),
    ]
    costs = dict.fromkeys(("best", "large", "next"), Cost(20, 30))
    assert champion.choose(runs, "log_loss", costs).run.name == "best"
    costs["next"] = Cost(20, 29)
    assert champion.choose(runs, "log_loss", costs).run.name == "next"


@pytest.mark.parametrize("metric", leaderboard.METRICS)
def test_the_luckiest_of_many_equal_trainings_does_not_keep_its_luck(metric: str) -> None:
    """50 trainings guess. The best one looks better than chance; the figures of the choice do not."""
    random = np.random.default_rng(3)
    runs = [run_with(str(i), random.exponential(np.log(2), IMAGES)) for i in range(50)]
    chosen = champion.choose(runs, metric, {run.name: Cost(20, 30) for run in runs})
    truth = 1 - np.exp(-1.0)  # the share of the losses below log 2
    assert chosen.nested is not None
    low, high = chosen.nested.accuracy_interval
    assert low < truth < high
    assert chosen.run.correct.mean() > chosen.nested.accuracy
    assert chosen.nested.log_loss.mean > chosen.run.losses.mean()
    assert len(chosen.nested.chosen) == 5


def test_without_common_folds_there_are_no_figures_of_the_choice() -> None:
    losses = hard_and_easy_images()
    other = run_with("other", losses + 0.1, folds=np.arange(IMAGES) % 4)
    costs = {"one": Cost(1, 1), "other": Cost(2, 2)}
    assert champion.choose([run_with("one", losses), other], "log_loss", costs).nested is None
