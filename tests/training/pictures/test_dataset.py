"""What is wrong with the data is told by file, before anything is trained on it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imageclassifier_training.errors import DataError
from imageclassifier_training.pictures import dataset as data


def problems(folder: Path) -> list[str]:
    with pytest.raises(DataError) as caught:
        data.read(folder)
    return caught.value.problems


def test_classes_are_the_folders_sorted_by_name(data_dir: Path) -> None:
    dataset = data.read(data_dir)
    assert dataset.classes == ("blue", "red")
    assert dataset.counts() == {"blue": 8, "red": 8}


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    assert problems(tmp_path / "nowhere")[0].startswith(f"{tmp_path / 'nowhere'} is not a folder")


def test_one_class_is_not_enough(data_dir: Path) -> None:
    shutil.rmtree(data_dir / "red")
    (found,) = problems(data_dir)
    assert "1 class folder(s) (blue); a classifier needs at least two" in found


def test_an_empty_class_is_told(data_dir: Path) -> None:
    (data_dir / "green").mkdir()
    assert problems(data_dir) == [f"{data_dir / 'green'}: the class is empty."]


def test_every_bad_file_has_its_own_line(data_dir: Path) -> None:
    whole = (data_dir / "red" / "0.png").read_bytes()
    (data_dir / "red" / "half.png").write_bytes(whole[: len(whole) // 2])
    (data_dir / "blue" / "notes.txt").write_text("not a picture")
    (data_dir / "blue" / "nothing.jpg").write_bytes(b"")
    found = problems(data_dir)
    assert len(found) == 3
    assert found[0].startswith(f"{data_dir / 'blue' / 'notes.txt'}: This is not a picture")
    assert found[1].startswith(f"{data_dir / 'blue' / 'nothing.jpg'}: The picture is empty")
    assert found[2].startswith(f"{data_dir / 'red' / 'half.png'}: The picture is truncated")


def test_the_same_picture_in_two_classes_is_told_with_both_places(data_dir: Path) -> None:
    shutil.copy(data_dir / "blue" / "3.png", data_dir / "red" / "copy.png")
    copy, original = data_dir / "red" / "copy.png", data_dir / "blue" / "3.png"
    assert problems(data_dir) == [f"{copy}: the same picture is in class 'blue', {original}."]


def test_the_same_picture_in_both_parts_of_a_split_is_told(data_dir: Path, tmp_path: Path) -> None:
    shutil.copytree(data_dir, tmp_path / "other")
    for copy in (tmp_path / "other").rglob("*.png"):
        if copy.name != "5.png":
            copy.unlink()
    with pytest.raises(DataError) as caught:
        data.check_apart(data.read(data_dir), data.read(tmp_path / "other"))
    assert len(caught.value.problems) == 2
    assert "the same picture is among the training ones" in caught.value.problems[0]


def test_what_an_operating_system_leaves_behind_is_passed_over(data_dir: Path) -> None:
    (data_dir / "blue" / ".DS_Store").write_bytes(b"x")
    (data_dir / "blue" / "Thumbs.db").write_bytes(b"x")
    (data_dir / ".cache").mkdir()
    assert len(data.read(data_dir).pictures) == 16


def test_the_digest_is_of_contents_and_classes_not_of_names(data_dir: Path, tmp_path: Path) -> None:
    before = data.read(data_dir).digest
    shutil.copytree(data_dir, tmp_path / "moved")
    (tmp_path / "moved" / "red" / "0.png").rename(tmp_path / "moved" / "red" / "renamed.png")
    assert data.read(tmp_path / "moved").digest == before
    (data_dir / "red" / "0.png").rename(data_dir / "blue" / "red0.png")
    assert data.read(data_dir).digest != before


def test_copies_of_a_picture_never_stand_on_both_sides_of_a_fold(data_dir: Path) -> None:
    for index in range(8):
        shutil.copy(data_dir / "red" / f"{index}.png", data_dir / "red" / f"copy{index}.png")
    dataset = data.read(data_dir)
    held_out = []
    for inside, outside in data.folds(dataset, 4, seed=0):
        assert not {dataset.pictures[i].digest for i in inside} & {
            dataset.pictures[i].digest for i in outside
        }
        assert set(dataset.labels[outside]) == {0, 1}
        held_out.extend(outside)
    assert sorted(held_out) == list(range(len(dataset.pictures)))


def test_a_class_too_small_for_the_folds_is_told(data_dir: Path) -> None:
    with pytest.raises(DataError, match="Class 'blue' has 8 different pictures, too few for 9 folds"):
        list(data.folds(data.read(data_dir), 9, seed=0))


def test_a_picture_is_prepared_as_the_gateway_does(data_dir: Path) -> None:
    from imageclassifier_gateway.contract import ModelInput
    from imageclassifier_gateway.images import prepare
    from imageclassifier_training.pictures import views

    wanted = ModelInput(height=30, width=20, fit="crop")
    pictures = data.read(data_dir).pictures
    for picture, seen in zip(pictures, views.draw(pictures, wanted, 0), strict=True):
        assert (seen == prepare(picture.path.read_bytes(), wanted)).all()


def test_views_are_the_same_whenever_they_are_drawn_and_differ_from_one_another(data_dir: Path) -> None:
    from imageclassifier_gateway.contract import ModelInput
    from imageclassifier_training.pictures import views

    pictures, wanted = data.read(data_dir).pictures, ModelInput(height=32, width=32)
    seen = [np.stack(list(views.draw(pictures, wanted, view))) for view in range(4)]
    assert (seen[1] == seen[0][:, :, ::-1]).all()
    assert (np.stack(list(views.draw(pictures[::-1], wanted, 3)))[::-1] == seen[3]).all()
    assert not any((a == b).all() for i, a in enumerate(seen) for b in seen[i + 1 :])


def test_a_huge_picture_is_a_line_too(data_dir: Path) -> None:
    Image.new("1", (9000, 9000)).save(data_dir / "blue" / "huge.png")
    (found,) = problems(data_dir)
    assert "9,000 x 9,000 pixels" in found
