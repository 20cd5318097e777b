"""Splits keep copies of an image together, and refuse data sets that they cannot split."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from imageclassifier_training.errors import DataError
from imageclassifier_training.pictures import splits
from imageclassifier_training.pictures.dataset import read


def test_copies_of_an_image_are_never_on_both_sides_of_a_fold(data_dir: Path) -> None:
    for index in range(8):
        shutil.copy(data_dir / "red" / f"{index}.png", data_dir / "red" / f"copy{index}.png")
    dataset = read(data_dir)
    all_held_out = []
    for training, held_out in splits.folds(dataset, 4, seed=0):
        assert not {dataset.pictures[i].digest for i in training} & {
            dataset.pictures[i].digest for i in held_out
        }
        assert set(dataset.labels[held_out]) == {0, 1}
        all_held_out.extend(held_out)
    assert sorted(all_held_out) == list(range(len(dataset.pictures)))


def test_a_class_with_fewer_images_than_folds_is_an_error(data_dir: Path) -> None:
    with pytest.raises(DataError, match="Class 'blue' has 8 distinct images, too few for 9 folds"):
        list(splits.folds(read(data_dir), 9, seed=0))


def test_an_image_for_both_training_and_validation_is_an_error(data_dir: Path, tmp_path: Path) -> None:
    shutil.copytree(data_dir, tmp_path / "other")
    for copy in (tmp_path / "other").rglob("*.png"):
        if copy.name != "5.png":
            copy.unlink()
    with pytest.raises(DataError) as caught:
        splits.check_disjoint(read(data_dir), read(tmp_path / "other"))
    assert len(caught.value.problems) == 2
    assert "the training images hold the same image" in caught.value.problems[0]


@pytest.mark.parametrize("folds_of_ten", [1, 3])
def test_the_hold_out_has_every_class_and_about_a_tenth(data_dir: Path, folds_of_ten: int) -> None:
    for folder in data_dir.iterdir():
        for index in range(8, 10 * folds_of_ten):
            (folder / f"{index}.png").write_bytes((folder / f"{index % 8}.png").read_bytes() + bytes([index]))
    dataset = read(data_dir)
    everything = np.arange(len(dataset.pictures))
    training, held_out = splits.hold_out(dataset, everything, seed=0)
    assert sorted([*training, *held_out]) == list(everything)
    assert len(held_out) == 2 * folds_of_ten
    assert set(dataset.labels[held_out]) == {0, 1}


def test_a_hold_out_of_small_classes_is_larger(data_dir: Path) -> None:
    for folder in data_dir.iterdir():
        for index in range(2, 8):
            (folder / f"{index}.png").unlink()
    dataset = read(data_dir)
    training, held_out = splits.hold_out(dataset, np.arange(4), seed=0)
    assert (len(training), len(held_out)) == (2, 2)
    assert set(dataset.labels[held_out]) == {0, 1}
