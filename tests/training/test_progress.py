"""The lines about finished steps, where no terminal shows bars."""

from __future__ import annotations

import io
import re
from pathlib import Path

from rich.console import Console

from imageclassifier_training.judging import score_table
from imageclassifier_training.judging.scoring import Scored
from imageclassifier_training.networks.architecture import Architecture
from imageclassifier_training.pictures.lists import Exclusions
from imageclassifier_training.pictures.reading import Reading, read
from imageclassifier_training.progress import ProgressDisplay


class Told:
    """Keeps what a `Progress` is called with."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, int, int]] = []

    def __call__(self, step: str, done: int, total: int) -> None:
        self.steps.append((step, done, total))


def lines(*steps: tuple[str, int, int]) -> list[str]:
    printed = io.StringIO()
    with ProgressDisplay(Console(file=printed, width=200)) as progress:
        for step in steps:
            progress(*step)
    return [re.sub(r"[\d.]+ s$", "T s", line) for line in printed.getvalue().splitlines()]


def test_a_finished_step_is_one_line_with_the_total() -> None:
    assert lines(("Look", 0, 1574), ("Look", 800, 1574), ("Look", 1574, 1574)) == [
        "Look: 1,574 of 1,574 done in T s"
    ]


def test_a_step_that_continues_says_how_much_of_the_total_it_did() -> None:
    assert lines(("Look", 73, 1574), ("Look", 1574, 1574)) == [
        "Look: 1,574 of 1,574 done, 1,501 of them in T s"
    ]


def test_a_step_with_nothing_left_to_do_has_no_line() -> None:
    assert lines(("Look", 8, 8)) == []


def test_a_step_may_come_again() -> None:
    assert len(lines(("Look", 0, 1), ("Look", 1, 1), ("Look", 0, 1), ("Look", 1, 1))) == 2


def test_features_that_are_partly_cached_count_towards_the_total(data_dir: Path, tmp_path: Path) -> None:
    from imageclassifier_training.fitting import features
    from imageclassifier_training.networks.network import build

    pictures = read(data_dir).pictures
    network = build(Architecture.parse("efficientnet_lite0@64"), 2)
    features.extract(network, pictures[:3], 0, tmp_path)
    told = Told()
    features.extract(network, pictures, 0, tmp_path, told)
    [line] = lines(*told.steps)
    assert line.endswith(": 16 of 16 done, 13 of them in T s")


def test_excluded_images_are_not_part_of_the_total(data_dir: Path) -> None:
    told = Told()
    reading = Reading(excluded=Exclusions(paths=frozenset([data_dir / "red" / "0.png"])))
    read(data_dir, reading, told)
    assert lines(*told.steps) == ["Check the images: 15 of 15 done in T s"]


def test_scores_that_a_table_has_count_towards_the_total(tmp_path: Path) -> None:
    table = tmp_path / "scores.csv"
    score_table.fill(table, "m", [], lambda images: [])
    told = Told()
    score_table.fill(
        table,
        "m",
        ["a", "b"],
        lambda images: [Scored(each, None, "broken") for each in images],
        told,
    )
    assert lines(*told.steps) == ["Classify: 2 of 2 done in T s"]
