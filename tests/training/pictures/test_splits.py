"""Splits keep copies of an image together, and refuse data sets that they cannot split."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from drawn_images import draw, smooth

from imageclassifier_training.pictures import splits
from imageclassifier_training.pictures.reading import read


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


def test_fewer_images_in_every_class_than_folds_is_a_problem(data_dir: Path) -> None:
    dataset = read(data_dir)
    (found,) = splits.problems(dataset, 9)
    assert "enough distinct images for 9 folds: the largest, 'blue', has 8" in found
    assert splits.problems(dataset, 8) == splits.problems(dataset, 0) == []


def keep(folder: Path, count: int) -> None:
    for index in range(count, 8):
        (folder / f"{index}.png").unlink()


def test_a_class_with_one_image_is_a_problem_for_cross_validation_only(data_dir: Path) -> None:
    keep(data_dir / "blue", 1)
    shutil.copy(data_dir / "blue" / "0.png", data_dir / "blue" / "copy.png")
    dataset = read(data_dir)
    (found,) = splits.problems(dataset, 5)
    assert found.startswith("Class 'blue' has one distinct image")
    assert splits.problems(dataset, 0) == []


def test_a_tiny_class_is_in_the_training_part_of_every_fold_and_noted(data_dir: Path) -> None:
    keep(data_dir / "blue", 2)
    dataset = read(data_dir)
    assert splits.problems(dataset, 5) == []
    assert any("'blue' (2)" in note for note in splits.notes(dataset, 5))
    measured = []
    for training, held_out in splits.folds(dataset, 5, seed=0):
        assert set(dataset.labels[training]) == {0, 1}
        measured.extend(held_out)
    assert sorted(measured) == list(range(10))


def test_a_single_copy_is_noted_in_the_singular(data_dir: Path) -> None:
    (data_dir / "blue" / "copy.png").write_bytes((data_dir / "blue" / "0.png").read_bytes())
    [note] = splits.notes(read(data_dir), 5)
    assert note.startswith("1 image is a copy or near duplicate of another one.")


def test_the_only_group_of_a_class_is_never_held_out() -> None:
    labels, groups = np.array([0, 0, 1, 1, 1, 1]), np.array([0, 0, 1, 2, 3, 4])
    parts = list(splits.grouped_folds(labels, groups, 3, seed=0))
    assert len(parts) == 3
    assert all({0, 1} <= set(training) for training, _ in parts)
    assert not list(splits.grouped_folds(np.array([0, 1]), np.array([0, 1]), 3, seed=0))


def test_near_duplicates_of_training_images_do_not_count_for_validation(
    data_dir: Path, tmp_path: Path
) -> None:
    photos = [smooth(seed) for seed in (0, 1)]
    photos[0].save(data_dir / "red" / "photo.jpg")
    for name in ("red", "blue"):
        (tmp_path / "other" / name).mkdir(parents=True)
    photos[0].resize((150, 100)).save(tmp_path / "other" / "red" / "smaller.jpg")
    photos[1].save(tmp_path / "other" / "blue" / "another.jpg")
    training, validation = read(data_dir), read(tmp_path / "other")
    assert splits.overlap(training, validation) == []
    apart = splits.without_near_duplicates(training, validation)
    assert [each.path.name for each in apart.pictures] == ["another.jpg"]


def test_a_validation_set_may_lack_a_class_and_must_not_have_another(data_dir: Path, tmp_path: Path) -> None:
    draw(tmp_path / "other" / "red", (200, 40, 40), 3, seed=5)
    draw(tmp_path / "other" / "yellow", (200, 200, 40), 3, seed=6)
    assert "have the class 'yellow'" in splits.overlap(read(data_dir), read(tmp_path / "other"))[0]
    draw(data_dir / "yellow", (200, 200, 40), 4, seed=7)
    training, validation = read(data_dir), read(tmp_path / "other")
    assert splits.overlap(training, validation) == []
    assert set(splits.without_near_duplicates(training, validation).labels) == {1, 2}


def test_an_image_for_both_training_and_validation_is_an_error(data_dir: Path, tmp_path: Path) -> None:
    shutil.copytree(data_dir, tmp_path / "other")
    for copy in (tmp_path / "other").rglob("*.png"):
        if copy.name != "5.png":
            copy.unlink()
    found = splits.overlap(read(data_dir), read(tmp_path / "other"))
    assert len(found) == 2
    assert "the training images hold the same image" in found[0]


@pytest.mark.parametrize("folds_of_ten", [1, 3])
def test_the_hold_out_has_every_class_and_about_a_tenth(data_dir: Path, folds_of_ten: int) -> None:
    shutil.rmtree(data_dir)
    draw(data_dir / "blue", (40, 40, 200), 10 * folds_of_ten, seed=1)
    draw(data_dir / "red", (200, 40, 40), 10 * folds_of_ten, seed=2)
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
