"""Data as it is found: splits, CSV files, litter, links, names of any bytes and damaged files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from drawn_images import smooth
from PIL import Image

from imageclassifier_training.errors import BrokenImages, DataError
from imageclassifier_training.files import shown
from imageclassifier_training.pictures import lists, reading, training_data
from imageclassifier_training.pictures.lists import Exclusions, Listed
from imageclassifier_training.pictures.reading import Reading


def refused(source: Path) -> str:
    with pytest.raises(DataError) as caught:
        reading.read(source)
    return "\n".join(caught.value.problems)


def split(data_dir: Path, *names: str) -> Path:
    """Divide the images into folders of these names, each with both classes."""
    root = data_dir.parent / "splits"
    for number, name in enumerate(names):
        for class_folder in ("blue", "red"):
            (root / name / class_folder).mkdir(parents=True)
            for index in range(number, 8, len(names)):
                shutil.copy(data_dir / class_folder / f"{index}.png", root / name / class_folder)
    return root


@pytest.mark.parametrize("names", [("train", "val", "test"), ("Training", "valid", "holdout")])
def test_splits_are_used_as_such(data_dir: Path, names: tuple[str, ...]) -> None:
    sources = training_data.choose(split(data_dir, *names), None)
    data = training_data.read(sources, folds=2)
    assert data.training.classes == ("blue", "red")
    assert len(data.training.pictures) == 6
    assert data.validation is not None
    assert len(data.validation.pictures) == 6
    assert any("The test split in " in note for note in data.notes)


def test_a_folder_given_for_validation_takes_the_place_of_the_validation_split(data_dir: Path) -> None:
    root = split(data_dir, "train", "val", "test")
    sources = training_data.choose(root, root / "test")
    assert sources.validation is not None
    assert sources.validation.source == root / "test"


def test_reading_splits_as_one_data_set_is_refused(data_dir: Path) -> None:
    assert "is divided into splits (training, test)" in refused(split(data_dir, "train", "test"))


def test_splits_beside_other_folders_are_refused(data_dir: Path) -> None:
    root = split(data_dir, "train", "val")
    (root / "extra" / "blue").mkdir(parents=True)
    message = refused(root)
    assert "train, val look like splits, but extra beside them does not" in message
    assert "--validation OTHER_FOLDER" in message


def test_splits_without_a_training_split_are_refused(data_dir: Path) -> None:
    assert "but no folder 'train'" in refused(split(data_dir, "val", "test"))


def test_two_folders_for_the_same_split_are_refused(data_dir: Path) -> None:
    assert "val, valid are both a validation split" in refused(split(data_dir, "train", "val", "valid"))


def test_splits_that_hold_images_instead_of_classes_are_refused(data_dir: Path) -> None:
    (data_dir / "blue").rename(data_dir / "train")
    (data_dir / "red").rename(data_dir / "test")
    assert "test, train look like splits, but they have no class folders" in refused(data_dir)


def test_splits_inside_the_classes_are_refused(data_dir: Path) -> None:
    for name in ("train", "val"):
        (data_dir / "blue" / name).mkdir()
        shutil.copy(data_dir / "blue" / "0.png", data_dir / "blue" / name)
    for image in (data_dir / "blue").glob("*.png"):
        image.unlink()
    assert "the class holds splits (train, val)" in refused(data_dir)


def test_a_class_may_have_the_name_of_a_split(data_dir: Path) -> None:
    (data_dir / "blue").rename(data_dir / "train")
    assert reading.read(data_dir).classes == ("red", "train")


def test_a_folder_around_the_class_folders_is_named(data_dir: Path) -> None:
    outer = data_dir.parent / "outer"
    outer.mkdir()
    data_dir.rename(outer / "photos")
    assert f"did you mean {outer / 'photos'}?" in refused(outer)


def test_images_without_class_folders_are_refused_with_their_number(data_dir: Path) -> None:
    assert "8 image files that belong to no class" in refused(data_dir / "blue")
    for number in range(1, 8):
        (data_dir / "blue" / f"{number}.png").unlink()
    assert "1 image file that belongs to no class" in refused(data_dir / "blue")


def test_litter_is_skipped_on_every_level_and_mentioned_once(data_dir: Path) -> None:
    image = data_dir / "blue" / "0.png"
    for folder in (
        data_dir / "__MACOSX",
        data_dir / "blue" / ".ipynb_checkpoints",
        data_dir / "red" / "@eaDir",
    ):
        folder.mkdir()
        shutil.copy(image, folder / "copy.png")
    (data_dir / "blue" / "deep").mkdir()
    for name in ("._0.png", "._1.png", "THUMBS.DB", "Desktop.ini"):
        (data_dir / "blue" / "deep" / name).write_bytes(b"x")
    dataset = reading.read(data_dir)
    assert len(dataset.pictures) == 16
    assert dataset.notes == (
        "Skipped hidden files and system files: 2 x ._*, .ipynb_checkpoints, @eaDir, Desktop.ini, THUMBS.DB "
        "and 1 other name.",
    )


def test_linked_class_folders_are_read_and_circles_end(data_dir: Path) -> None:
    elsewhere = data_dir.parent / "elsewhere"
    (data_dir / "blue").rename(elsewhere)
    (data_dir / "blue").symlink_to(elsewhere)
    (elsewhere / "again").symlink_to(elsewhere)
    assert reading.read(data_dir).counts() == {"blue": 8, "red": 8}


def test_a_link_to_nothing_is_reported(data_dir: Path) -> None:
    (data_dir / "blue" / "gone.png").symlink_to(data_dir / "nowhere.png")
    assert "gone.png: the file cannot be read (No such file or directory)" in refused(data_dir)


def test_file_names_of_any_bytes_are_read_and_shown(data_dir: Path) -> None:
    name = os.fsdecode(b"M\xfcller\n.png")
    (data_dir / "blue" / "0.png").rename(data_dir / "blue" / name)
    assert len(reading.read(data_dir).pictures) == 16
    assert shown(data_dir / "blue" / name).endswith(r"blue/M\xfcller\n.png")
    (data_dir / "blue" / name).write_bytes(b"broken")
    assert r"M\xfcller\n.png: The file is not a picture" in refused(data_dir)


def test_a_class_name_that_is_not_text_is_refused(data_dir: Path) -> None:
    (data_dir / "blue").rename(data_dir / os.fsdecode(b"M\xfcller"))
    assert r"M\xfcller: the name of the class is not UTF-8. Rename the folder." in refused(data_dir)


def test_class_names_are_normalised_so_that_accents_of_macos_and_linux_agree(data_dir: Path) -> None:
    (data_dir / "blue").rename(data_dir / "Mu\u0308ller")
    assert reading.read(data_dir).classes == ("M\u00fcller", "red")
    (data_dir / "M\u00fcller").mkdir()
    assert "the name is the same as that of" in refused(data_dir)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("header", ["path{0}label", "\ufeffClass{0}Filename{0}notes"])
def test_a_csv_file_lists_paths_and_labels(data_dir: Path, delimiter: str, header: str) -> None:
    paths_first = header.startswith("path")
    lines = [header.format(delimiter)]
    for image in sorted(data_dir.rglob("*.png")):
        row = [str(image.relative_to(data_dir)), image.parent.name]
        lines.append(delimiter.join(row if paths_first else [*row[::-1], "seen"]))
    (data_dir / "labels.csv").write_text("\r\n".join(lines) + "\r\n", encoding="utf-8")
    assert reading.read(data_dir / "labels.csv").counts() == {"blue": 8, "red": 8}


def test_a_csv_file_needs_no_header_and_may_leave_out_extensions(data_dir: Path) -> None:
    lines = [f"{each.parent.name}/{each.stem},{each.parent.name}" for each in data_dir.rglob("*.png")]
    (data_dir / "labels.csv").write_text("\n".join(lines))
    assert len(reading.read(data_dir / "labels.csv").pictures) == 16


def test_a_csv_file_may_have_a_column_for_the_split(data_dir: Path) -> None:
    lines = ["path,label,split"]
    for image in data_dir.rglob("*.png"):
        lines.append(f"{image},{image.parent.name},{'val' if image.stem in '01' else 'train'}")
    (data_dir / "labels.csv").write_text("\n".join(lines))
    data = training_data.read(training_data.choose(data_dir / "labels.csv", None), folds=2)
    assert data.validation is not None
    assert (len(data.training.pictures), len(data.validation.pictures)) == (12, 4)


def test_everything_wrong_with_a_csv_file_is_reported_with_its_line(data_dir: Path) -> None:
    lines = [
        "path,label,split",
        *(f"red/{i}.png,red," for i in range(8)),
        *(f"blue/{i}.png,blue," for i in range(8)),
    ]
    lines += ["red/0.png,blue,", "alone", "red/9.png,red,", "red/1.png,,", "red/2.png,red,tomorrow"]
    (data_dir / "labels.csv").write_text("\n".join(lines))
    message = refused(data_dir / "labels.csv")
    assert "line 18: " in message
    assert "has the label 'blue' here, and 'red' in line 2" in message
    assert "line 19: the line has 1 column, too few" in message
    assert "red/9.png: the file cannot be read" in message
    assert "line 21: the name of the class is empty" in message
    assert "line 22: 'tomorrow' is not a split" in message


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"a,b\n1,2\n", "has no column for the paths (path) and the labels (label)"),
        (b"path,label\nred/0.png,red\n", "has images of 1 class to train on"),
        (b"\x89PNG\r\n\0\0", "is not a text"),
    ],
)
def test_a_file_that_is_not_a_table_of_labels_is_refused(
    data_dir: Path, content: bytes, sentence: str
) -> None:
    (data_dir / "labels.csv").write_bytes(content)
    assert sentence in refused(data_dir / "labels.csv")


def test_a_folder_of_images_beside_a_csv_file_names_the_csv_file(data_dir: Path) -> None:
    shutil.rmtree(data_dir / "red")
    (data_dir / "labels.csv").write_text("x")
    assert f"give it instead of the folder: {data_dir / 'labels.csv'}" in refused(data_dir)


def test_broken_files_are_all_listed_or_skipped(data_dir: Path) -> None:
    for index in range(40):
        (data_dir / "blue" / f"empty{index}.jpg").write_bytes(b"")
    with pytest.raises(BrokenImages) as caught:
        reading.read(data_dir)
    assert len(caught.value.broken) == len(caught.value.problems) == 40
    dataset = reading.read(data_dir, Reading(skip_broken=True))
    assert len(dataset.pictures) == 16
    assert len(dataset.broken) == 40
    assert dataset.notes[0].startswith("Skipped 40 unusable files")


def test_skipping_broken_files_never_empties_a_class_silently(data_dir: Path) -> None:
    for image in (data_dir / "blue").iterdir():
        image.write_bytes(b"")
    with pytest.raises(DataError, match="class 'blue' has no usable image left"):
        reading.read(data_dir, Reading(skip_broken=True))


def test_excluded_files_are_known_by_content_or_by_path(data_dir: Path, tmp_path: Path) -> None:
    first, second = reading.read(data_dir).pictures[:2]
    listed = [
        Listed(first.path, first.digest, "blue", "doubtful", "a, b"),
        Listed(second.path, "", "", "", ""),
    ]
    lists.write(tmp_path / "list.csv", listed)
    first.path.rename(data_dir / "blue" / "renamed.png")
    dataset = reading.read(data_dir, Reading(excluded=lists.read(tmp_path / "list.csv")))
    assert dataset.counts() == {"blue": 6, "red": 8}
    assert "Left out 2 images" in dataset.notes[0]


def test_an_exclusion_list_may_be_lines_of_paths_relative_to_it(data_dir: Path) -> None:
    (data_dir / "without.txt").write_text("blue/0.png\n\nred/7.png\n")
    excluded = lists.read(data_dir / "without.txt")
    assert reading.read(data_dir, Reading(excluded=excluded)).counts() == {"blue": 7, "red": 7}


def test_a_missing_exclusion_list_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the list cannot be read"):
        lists.read(tmp_path / "list.csv")
    assert not Exclusions()


def test_problems_of_both_sets_and_of_the_classes_are_reported_at_once(data_dir: Path) -> None:
    other = data_dir.parent / "other"
    shutil.copytree(data_dir, other)
    shutil.copy(data_dir / "red" / "0.png", data_dir / "red" / "half.png")
    os.truncate(data_dir / "red" / "half.png", 900)
    with pytest.raises(DataError) as caught:
        training_data.read(training_data.choose(data_dir, other), folds=9)
    message = "\n".join(caught.value.problems)
    for words in ("half.png: The picture", "for 9 folds", "hold the same image"):
        assert words in message


@pytest.mark.parametrize(
    "change",
    [
        lambda picture: picture.resize((120, 90)),
        lambda picture: picture.convert("L"),
        lambda picture: picture.point(lambda value: min(255, value * 5 // 4)),
        lambda picture: picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    ],
    ids=["resized", "grey", "brighter", "mirrored"],
)
def test_near_duplicates_have_one_group_and_other_images_their_own(
    data_dir: Path, change: Callable[[Image.Image], Image.Image]
) -> None:
    for seed in range(6):
        smooth(seed).save(data_dir / "blue" / f"photo{seed}.jpg", quality=90)
        change(smooth(seed)).save(data_dir / "blue" / f"twin{seed}.jpg", quality=40)
    dataset = reading.read(data_dir)
    group = {
        picture.path.name: number for picture, number in zip(dataset.pictures, dataset.groups, strict=True)
    }
    for seed in range(6):
        assert group[f"photo{seed}.jpg"] == group[f"twin{seed}.jpg"]
    assert len(set(dataset.groups)) == len(dataset.pictures) - 6


def test_plain_images_are_not_near_duplicates(data_dir: Path) -> None:
    for grey in range(0, 250, 10):
        Image.new("L", (30, 30), grey).save(data_dir / "blue" / f"plain{grey}.png")
    dataset = reading.read(data_dir)
    assert len(set(dataset.groups)) == len(dataset.pictures)


def test_a_data_set_of_similar_images_does_not_become_one_group(data_dir: Path) -> None:
    from sklearn.datasets import load_digits

    digits = load_digits().images[:400]
    for index, digit in enumerate(digits):
        Image.fromarray((digit * 15).astype(np.uint8)).resize((64, 64)).save(
            data_dir / "blue" / f"d{index}.png"
        )
    sizes = np.bincount(reading.read(data_dir).groups)
    assert sizes.max() <= 0.05 * sizes.sum()
