"""Reading a data set reports every problem, one line per file or class, before training starts."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from imageclassifier_training.errors import DataError
from imageclassifier_training.pictures import reading as datasets


def problems(folder: Path) -> list[str]:
    with pytest.raises(DataError) as caught:
        datasets.read(folder)
    return caught.value.problems


def test_classes_are_the_subfolders_sorted_by_name(data_dir: Path) -> None:
    dataset = datasets.read(data_dir)
    assert dataset.classes == ("blue", "red")
    assert dataset.counts() == {"blue": 8, "red": 8}


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    assert problems(tmp_path / "nowhere")[0].startswith(f"{tmp_path / 'nowhere'} is not a folder")


def test_a_single_class_is_an_error(data_dir: Path) -> None:
    shutil.rmtree(data_dir / "red")
    (found,) = problems(data_dir)
    assert "1 class folder (blue). A classifier needs at least two" in found


def test_an_empty_class_is_an_error(data_dir: Path) -> None:
    (data_dir / "green").mkdir()
    assert problems(data_dir) == [
        f"{data_dir / 'green'}: the class has no images. Add images, or remove the folder."
    ]


def test_each_unusable_file_has_its_own_line(data_dir: Path) -> None:
    whole = (data_dir / "red" / "0.png").read_bytes()
    (data_dir / "red" / "half.png").write_bytes(whole[: len(whole) // 2])
    (data_dir / "blue" / "notes.txt").write_text("not a picture")
    (data_dir / "blue" / "nothing.jpg").write_bytes(b"")
    found = problems(data_dir)
    assert len(found) == 3
    assert found[0].startswith(f"{data_dir / 'blue' / 'notes.txt'}: The file is not a picture")
    assert found[1].startswith(f"{data_dir / 'blue' / 'nothing.jpg'}: The picture is empty")
    assert found[2].startswith(f"{data_dir / 'red' / 'half.png'}: The picture is truncated")


def test_the_same_image_in_two_classes_is_an_error_that_names_both_files(data_dir: Path) -> None:
    shutil.copy(data_dir / "blue" / "3.png", data_dir / "red" / "copy.png")
    copy, original = data_dir / "red" / "copy.png", data_dir / "blue" / "3.png"
    assert problems(data_dir) == [
        f"{copy}: class 'blue' holds the same image, {original}. Remove one of the two."
    ]


def test_files_that_operating_systems_leave_behind_are_ignored(data_dir: Path) -> None:
    (data_dir / "blue" / ".DS_Store").write_bytes(b"x")
    (data_dir / "blue" / "Thumbs.db").write_bytes(b"x")
    (data_dir / ".cache").mkdir()
    assert len(datasets.read(data_dir).pictures) == 16


def test_the_digest_depends_on_contents_and_classes_but_not_on_names(data_dir: Path, tmp_path: Path) -> None:
    before = datasets.read(data_dir).digest
    shutil.copytree(data_dir, tmp_path / "moved")
    (tmp_path / "moved" / "red" / "0.png").rename(tmp_path / "moved" / "red" / "renamed.png")
    assert datasets.read(tmp_path / "moved").digest == before
    (data_dir / "red" / "0.png").rename(data_dir / "blue" / "red0.png")
    assert datasets.read(data_dir).digest != before


def test_a_huge_image_is_an_error(data_dir: Path) -> None:
    Image.new("1", (9000, 9000)).save(data_dir / "blue" / "huge.png")
    (found,) = problems(data_dir)
    assert "9,000 x 9,000 pixels" in found
