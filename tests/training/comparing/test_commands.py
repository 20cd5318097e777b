"""`leaderboard` and `champion` compare real trainings, and `export` takes the champion."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from imageclassifier_training.commands._comparison import folded
from imageclassifier_training.comparing import runs
from imageclassifier_training.fitting import cross_validation_results
from imageclassifier_training.judging.operating_point import OperatingPoint, OutOfFold
from imageclassifier_training.networks import learned
from imageclassifier_training.pictures.dataset import Dataset, Picture

Run = Callable[..., int]


@pytest.fixture(scope="module")
def several(
    trained: Path,
    shared_data: Path,
    cache: Path,
    costs_file: Path,
    run: Run,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Two trainings on the same images and folds, and one without a cross-validation."""
    folder = tmp_path_factory.mktemp("several")
    shutil.copy(costs_file, folder)
    shutil.copytree(trained, folder / "two-views")
    arguments = ["--backbone", "efficientnet_lite0@64", "--cache", cache]
    out = folder / "one-view"
    assert run("train", shared_data, "--out", out, *arguments, "--folds", "2", "--views", "1") == 0
    assert run("train", shared_data, "--out", folder / "unmeasured", *arguments, "--folds", "0") == 0
    return folder


def test_a_training_is_read_with_the_figures_that_it_recorded(trained: Path) -> None:
    (found,) = runs.find([trained]).runs
    recorded = json.loads((trained / "training.json").read_text())["metrics"]["cross_validation"]
    assert found.correct.mean() == recorded["accuracy"]
    assert found.losses.mean() == pytest.approx(recorded["log_loss"], rel=1e-6)
    assert found.settings == "2 views"


def test_the_leaderboard_ranks_and_writes_csv_and_html(
    several: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, html = tmp_path / "board.csv", tmp_path / "board.html"
    assert run("leaderboard", several, "--csv", table, "--html", html) == 0
    shown = capsys.readouterr()
    assert "unmeasured is left out: it has no out_of_fold.csv. Train it with --folds 2 or more" in shown.err
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert {row["run"] for row in rows} == {"one-view", "two-views"}
    assert [row["place"] for row in rows] == ["1", "2"]
    assert float(rows[0]["log_loss"]) <= float(rows[1]["log_loss"])
    assert float(rows[0]["behind_log_loss"]) == 0
    behind = float(rows[1]["log_loss"]) - float(rows[0]["log_loss"])
    assert float(rows[1]["behind_log_loss"]) == pytest.approx(behind, abs=1e-5)
    assert all(float(row["milliseconds_per_image"]) > 0 and float(row["megabytes"]) > 10 for row in rows)
    page = html.read_text()
    assert page.count('class="whisker"') == 1  # the best one is behind nothing
    for outside in ("http://", "https://", "<script", "<link"):
        assert outside not in page
    assert (several / "costs.json").exists()


def test_the_champion_is_exported_as_the_next_version_with_the_figures_of_the_choice(
    several: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("champion", several) == 0
    shown = capsys.readouterr().out
    assert "Champion: " in shown
    assert "judged by what was chosen on the other folds" in shown
    champion = json.loads((several / "champion" / "champion.json").read_text())
    assert champion["training"] in ("one-view", "two-views")
    figures = learned.load(several / "champion").metrics["choice_by_other_folds"]
    assert figures["accuracy"] == 1.0
    assert run("champion", several) == 0  # the copy is not a third training
    (tmp_path / "colours" / "3").mkdir(parents=True)
    assert run("export", several, "--name", "colours", "--out", tmp_path) == 0
    assert (tmp_path / "colours" / "4" / "saved_model.pb").exists()


def test_without_a_champion_the_export_of_several_trainings_says_how_to_choose_one(
    trained: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "runs"
    shutil.copytree(trained, folder / "trials" / "first")
    assert run("export", folder, "--name", "colours", "--out", tmp_path) == 1
    assert f"Run `imageclassifier-training champion {folder}`" in capsys.readouterr().err


def test_a_long_name_ends_its_lines_after_separators() -> None:
    assert folded("search/efficientnet_lite0@128-squash-2-views", 26).split("\n") == [
        "search/efficientnet_lite0@",
        "128-squash-2-views",
    ]
    assert folded("first", 26) == "first"


def test_trainings_on_other_images_are_left_out(
    several: Path, data_dir: Path, cache: Path, run: Run, tmp_path: Path
) -> None:
    (data_dir / "red" / "0.png").unlink()
    arguments = ["--backbone", "efficientnet_lite0@64", "--cache", cache, "--folds", "2"]
    assert run("train", data_dir, "--out", tmp_path / "other", *arguments) == 0
    found = runs.find([several, tmp_path / "other"])
    assert {each.name for each in found.runs} == {"one-view", "two-views"}
    assert any("it was trained on other images than" in note for note in found.notes)


def test_a_folder_without_trainings_is_an_error(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("leaderboard", tmp_path) == 1
    assert "No finished training with a cross-validation was found" in capsys.readouterr().err


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_predictions_are_kept_precisely_enough_for_the_log_loss_of_sure_mistakes(
    temperature: float, tmp_path: Path
) -> None:
    """A probability of 1e-8 costs 18 nats: with six decimals it would read as zero."""
    raw = np.array([[[0.9, 0.1], [1 - 1e-8, 1e-8]]])
    pictures = (Picture(Path("a.png"), 0, "0" * 64), Picture(Path("b.png"), 1, "1" * 64))
    dataset = Dataset(("blue", "red"), pictures, np.arange(2))
    predictions = OutOfFold(raw, np.array([[0, 1]]), dataset.labels)
    file = tmp_path / "out_of_fold.csv"
    cross_validation_results.write(file, dataset, predictions, OperatingPoint(temperature))
    kept = cross_validation_results.read(file, dataset.classes, temperature)
    np.testing.assert_allclose(np.log(kept.predictions.probabilities), np.log(raw), rtol=1e-6)
    assert (kept.paths, kept.digests) == (("a.png", "b.png"), ("0" * 64, "1" * 64))


def test_a_leaderboard_without_the_weights_of_a_backbone_shows_its_costs_as_unknown(
    several: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(several, tmp_path / "runs")
    record = tmp_path / "runs" / "one-view" / "training.json"
    record.write_text(record.read_text().replace("efficientnet_lite0", "vgg16"))
    (tmp_path / "runs" / "weights").mkdir()
    (tmp_path / "runs" / "weights" / "vgg16.weights.h5").write_bytes(b"not weights")
    table, html = tmp_path / "board.csv", tmp_path / "board.html"
    assert run("leaderboard", tmp_path / "runs", "--csv", table, "--html", html) == 0
    shown = capsys.readouterr()
    assert "n/a" in shown.out
    assert "without them there is no champion" in shown.err
    assert "does not hold the weights of vgg16" in shown.err
    with table.open() as file:
        costs = {row["run"]: row["milliseconds_per_image"] for row in csv.DictReader(file)}
    assert costs["one-view"] == ""
    assert float(costs["two-views"]) > 0
    assert "champion, the cheapest" not in html.read_text()
    assert run("champion", tmp_path / "runs") == 4
