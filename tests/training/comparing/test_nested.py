"""`champion --data` measures the choice with networks that have not seen the images that measure it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imageclassifier_training.comparing import nested, runs
from imageclassifier_training.comparing.costs import Cost
from imageclassifier_training.comparing.nested import Images, Refitted
from imageclassifier_training.errors import TrainingError
from imageclassifier_training.fitting.options import FineTuning, Options, Workspace
from imageclassifier_training.fitting.trainer import Trainer
from imageclassifier_training.judging.threshold_rule import ThresholdRule
from imageclassifier_training.networks import learned
from imageclassifier_training.pictures import folders, reading

Run = Callable[..., int]
FOLDS, IMAGES = 4, 200
GIVEN = Images(np.arange(IMAGES) % FOLDS, np.arange(IMAGES) // 2 % 2)
COSTS = {"sharp": Cost(20, 30), "blunt": Cost(10, 30)}


def predictions(seed: int, share: float) -> np.ndarray:
    """For each fold, probabilities of which this share is right."""
    right = np.random.default_rng(seed).random((FOLDS, IMAGES)) < share
    second = np.where(right == (GIVEN.labels == 1), 0.9, 0.1)
    return np.stack([1 - second, second], axis=2)


def test_the_choice_for_a_fold_does_not_depend_on_its_images() -> None:
    sharp, blunt = predictions(1, 0.95), predictions(2, 0.7)
    before = nested.judge(
        [Refitted("sharp", Options(), sharp), Refitted("blunt", Options(), blunt)], GIVEN, "log_loss", COSTS
    )
    for fold in range(FOLDS):
        inside = GIVEN.folds == fold
        sharp[fold, inside] = sharp[fold, inside][:, ::-1]  # wrong on the images that measure
    after = nested.judge(
        [Refitted("sharp", Options(), sharp), Refitted("blunt", Options(), blunt)], GIVEN, "log_loss", COSTS
    )
    assert before.chosen == after.chosen == ("sharp",) * FOLDS
    assert before.accuracy > 0.9
    assert after.accuracy == pytest.approx(1 - before.accuracy)


@pytest.fixture(scope="module")
def searched(
    shared_data: Path, cache: Path, costs_file: Path, run: Run, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Two trainings with three folds."""
    folder = tmp_path_factory.mktemp("searched")
    shutil.copy(costs_file, folder)
    for views in (1, 2):
        arguments = ["--backbone", "efficientnet_lite0@64", "--folds", "3", "--views", views]
        assert run("train", shared_data, "--out", folder / str(views), "--cache", cache, *arguments) == 0
    return folder


def test_each_training_is_fitted_again_without_two_folds_at_a_time(
    searched: Path,
    shared_data: Path,
    cache: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fits = []
    original = Trainer.predict

    def predict(self: Trainer, training: Any, held_out: Any, name: str) -> Any:
        fits.append((set(training), set(held_out)))
        return original(self, training, held_out, name)

    monkeypatch.setattr(Trainer, "predict", predict)
    assert run("champion", searched, "--data", shared_data, "--cache", cache) == 0
    assert "Accuracy of the choice, by full nested cross-validation: 100.00 %" in capsys.readouterr().out
    assert len(fits) == 2 * 3
    for training, held_out in fits:
        assert not training & held_out
        assert training | held_out == set(range(16))
        assert 0 < len(training) < 8  # one of three folds
    figures = learned.load(searched / "champion").metrics["choice_by_other_folds"]
    assert (figures["refitted"], figures["accuracy"], len(figures["chosen_by_fold"])) == (True, 1.0, 3)
    assert not (searched / "nested").exists()


@pytest.mark.parametrize(
    ("folder", "left_out", "problem"),
    [("searched", 1, "The images are not those of"), ("trained", 0, "at least 3 folds, and these have 2")],
)
def test_other_images_and_too_few_folds_are_refused(
    folder: str,
    left_out: int,
    problem: str,
    shared_data: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    found = runs.find([request.getfixturevalue(folder)]).runs
    images = reading.read_all({"": folders.find(shared_data).training})[""]
    images = images.subset(np.arange(left_out, len(images.pictures)))
    with pytest.raises(TrainingError, match=problem):
        nested.measure(found, images, Workspace(tmp_path, tmp_path), "log_loss", {})


@pytest.mark.parametrize("tuning", [None, FineTuning(blocks=None, epochs=3), FineTuning(2, patience=0)])
def test_options_are_read_as_they_were_recorded(tuning: FineTuning | None) -> None:
    options = Options(
        views=3, balanced=False, threshold=ThresholdRule("precision", 0.9), seed=7, fine_tuning=tuning
    )
    document = json.loads(json.dumps(asdict(options)))
    assert Options.recorded(options.architecture, document) == options
