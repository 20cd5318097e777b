"""The plot of the leaderboard: its axes fit the values, and each number is readable."""

from __future__ import annotations

import doctest
from pathlib import Path

import numpy as np
import pytest

from imageclassifier_training.comparing import leaderboard, scatter
from imageclassifier_training.comparing.costs import Cost
from imageclassifier_training.comparing.leaderboard import Row
from imageclassifier_training.comparing.report import Page, render
from imageclassifier_training.comparing.runs import Run
from imageclassifier_training.comparing.scatter import Scatter
from imageclassifier_training.networks.architecture import Architecture

IMAGES = 50


def ranked(*figures: tuple[float, float], name: str = "trials/run") -> list[Row]:
    """Trainings with these milliseconds and log losses, ranked."""
    runs = [
        Run(
            name=f"{name}-{index}",
            folder=Path(name),
            architecture=Architecture.parse("efficientnet_lite1@300"),
            settings="2 views",
            class_names=("a", "b"),
            data_digest="sha256:0",
            seconds=5400.0,
            digests=tuple(map(str, range(IMAGES))),
            labels=np.zeros(IMAGES, np.int64),
            folds=np.arange(IMAGES) % 5,
            losses=np.full(IMAGES, loss),
            correct=np.ones(IMAGES),
            first_losses=np.full(IMAGES, loss),
            first_correct=np.ones(IMAGES),
        )
        for index, (_, loss) in enumerate(figures)
    ]
    costs = {run.name: Cost(time, 14.0) for run, (time, _) in zip(runs, figures, strict=True)}
    return leaderboard.rank(runs, "log_loss", costs)


def drawn(*figures: tuple[float, float]) -> Scatter:
    found = scatter.scatter(ranked(*figures))
    assert found is not None
    return found


def test_trainings_that_differ_little_use_the_whole_plot() -> None:
    found = drawn((20.1, 0.0912), (21.5, 0.0950), (24.9, 0.1183))
    heights = [point.y for point in found.points]
    widths = [point.x for point in found.points]
    assert max(heights) - min(heights) > 0.6 * (found.bottom - found.top)
    assert max(widths) - min(widths) > 0.6 * (found.right - found.left)
    assert [tick.text for tick in found.y_ticks] == ["0.09", "0.10", "0.11", "0.12"]
    assert [tick.text for tick in found.x_ticks] == ["20", "21", "22", "23", "24", "25"]


@pytest.mark.parametrize("values", [(8.0, 0.3), (0.0, 0.0), (2000.0, 1e-6)])
def test_a_single_training_is_in_the_plot(values: tuple[float, float]) -> None:
    (point,) = (found := drawn(values)).points
    assert found.left <= point.x <= found.right
    assert found.top <= point.y <= found.bottom
    assert len({tick.text for tick in found.x_ticks}) == len(found.x_ticks)
    assert len({tick.text for tick in found.y_ticks}) == len(found.y_ticks)


def test_a_training_that_failed_does_not_press_the_others_together() -> None:
    found = drawn(*((20 + index, 0.09 + index / 1000) for index in range(10)), (20, 7.3))
    assert len(found.points) == 10
    assert found.left_out == 1
    assert found.limit == pytest.approx(0.099)


def test_the_numbers_of_trainings_side_by_side_cover_neither_each_other_nor_a_point() -> None:
    found = drawn(*((20 + index % 3 / 10, 0.09 + index / 5000) for index in range(40)), (60, 0.4))
    labels = [point.label for point in found.points if point.label is not None]
    assert found.points[0].label is not None  # the best one
    for index, (left, baseline) in enumerate(labels):
        for point in found.points:
            inside = left - found.radius < point.x < left and baseline - 9 < point.y < baseline
            assert not inside
        for other_left, other_baseline in labels[index + 1 :]:
            assert abs(left - other_left) >= 7 or abs(baseline - other_baseline) >= 9


def test_without_costs_there_is_no_plot() -> None:
    assert scatter.scatter(leaderboard.rank([row.run for row in ranked((1, 1))], "log_loss", {})) is None


def test_long_names_break_after_their_separators() -> None:
    rows = ranked((20, 0.1), (30, 0.2), name="search/efficientnet_lite1@300-squash")
    html = render(rows, Page("log_loss", "", (), same_folds=True))
    assert "search/<wbr>efficientnet_<wbr>lite1@<wbr>300-<wbr>squash-<wbr>1" in html
    assert "90 min" in html


def test_the_examples_of_the_module_are_right() -> None:
    assert doctest.testmod(scatter).failed == 0
