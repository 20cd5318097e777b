"""Exploration finds what is wrong in a data set, changes nothing, and writes a list that training reads."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from drawn_images import draw, smooth
from PIL import Image

from imageclassifier_training.exploring import label_errors, measurements, outliers
from imageclassifier_training.pictures import reading
from imageclassifier_training.progress import no_progress

Run = Callable[..., int]


def explore(run: Run, data: Path, cache: Path, *more: object) -> int:
    return run("explore", data, "--backbone", "efficientnet_lite0@64", "--cache", cache, *more)


def spoil(data_dir: Path) -> None:
    """Add a wrong label, a copy, an image with two labels, a damaged file and litter."""
    for name, colour in (("red", (200, 40, 40)), ("blue", (40, 40, 200))):
        draw(data_dir.parent / name, colour, 20, seed=9 + len(name))
        for index in range(3, 20):
            shutil.copy(data_dir.parent / name / f"{index}.png", data_dir / name / f"more{index}.png")
    for index in range(3):
        shutil.copy(data_dir.parent / "red" / f"{index}.png", data_dir / "blue" / f"mislabelled{index}.png")
    shutil.copy(data_dir / "red" / "1.png", data_dir / "red" / "copy.png")
    shutil.copy(data_dir / "red" / "2.png", data_dir / "blue" / "both.png")
    (data_dir / "blue" / "empty.jpg").write_bytes(b"")
    (data_dir / "blue" / "Thumbs.db").write_bytes(b"x")


def test_a_report_has_every_finding_and_nothing_is_changed(
    data_dir: Path, cache: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(data_dir)
    before = sorted((path, path.stat().st_mtime_ns) for path in data_dir.rglob("*"))
    html, figures = tmp_path / "report.html", tmp_path / "report.json"
    assert explore(run, data_dir, cache, "--html", html, "--json", figures) == 0
    assert sorted((path, path.stat().st_mtime_ns) for path in data_dir.rglob("*")) == before
    document = json.loads(figures.read_text())
    assert document["classes"] == {"blue": 29, "red": 26}
    assert [each["path"].rsplit("/", 1)[1] for each in document["unusable"]] == ["empty.jpg"]
    assert len(document["duplicates"]) == 2
    assert document["duplicates"][0]["across_classes"]
    doubtful = {each["path"].rsplit("/", 2)[-1]: each for each in document["label_doubts"]}
    for index in range(3):
        assert doubtful[f"mislabelled{index}.png"]["suggested"] == "red"
    assert any(each["probable_error"] for each in doubtful.values())
    assert 0.5 < document["expected"]["accuracy"] <= 1
    report = html.read_text()
    for words in ("Labels to check", "mislabelled0.png", "Copies in several classes", "empty.jpg", "Samples"):
        assert words in report
    for outside in ("http://", "https://", "<script", "<link"):
        assert outside not in report.replace("http://www.w3.org", "")
    shown = capsys.readouterr()
    assert "1 with several labels" in shown.out
    assert "note: Skipped hidden files and system files: Thumbs.db." in shown.err


def test_training_without_the_listed_files_works(
    data_dir: Path, cache: Path, run: Run, tmp_path: Path
) -> None:
    spoil(data_dir)
    found = tmp_path / "list.csv"
    assert explore(run, data_dir, cache, "--write-list", found) == 0
    with found.open() as file:
        listed = {Path(row["path"]).name: row["finding"] for row in csv.DictReader(file)}
    assert listed["empty.jpg"] == "unusable"
    wrong = {name for name, finding in listed.items() if finding == "label-error"}
    assert wrong
    assert wrong <= {f"mislabelled{index}.png" for index in range(3)}
    assert {name for name, finding in listed.items() if finding == "conflict"} == {"2.png", "both.png"}
    assert sum(finding == "copy" for finding in listed.values()) == 1
    arguments = ["--backbone", "efficientnet_lite0@64", "--folds", "2", "--cache", cache]
    assert run("train", data_dir, "--out", tmp_path / "run", *arguments) == 3
    assert run("train", data_dir, "--out", tmp_path / "run", *arguments, "--exclude", found) == 0
    pictures = json.loads((tmp_path / "run" / "training.json").read_text())["record"]["pictures"]
    assert pictures == {"blue": 28 - len(wrong), "red": 24}


def test_images_in_several_splits_are_found(data_dir: Path, cache: Path, run: Run, tmp_path: Path) -> None:
    root = tmp_path / "photos"
    shutil.copytree(data_dir, root / "train")
    smooth(1).save(root / "train" / "red" / "photo.jpg")
    for name in ("red", "blue"):
        (root / "test" / name).mkdir(parents=True)
    smooth(1).resize((160, 120)).save(root / "test" / "red" / "smaller.jpg")
    draw(root / "test" / "blue" / "more", (40, 40, 200), 3, seed=8)
    figures = tmp_path / "report.json"
    assert explore(run, root, cache, "--json", figures, "--html", tmp_path / "report.html") == 0
    document = json.loads(figures.read_text())
    assert document["splits"] == {"training": 17, "test": 4}
    (group,) = document["duplicates"]
    assert group["across_splits"]
    assert not group["exact"]


def test_a_property_that_is_equal_for_all_images_has_no_extremes(
    data_dir: Path, cache: Path, run: Run, tmp_path: Path
) -> None:
    html = tmp_path / "report.html"
    assert explore(run, data_dir, cache, "--folds", "0", "--html", html) == 0
    report = html.read_text()
    assert "50 for all images" in report  # pixels wide
    assert not any(f"<h3>{title}</h3>" in report for title in ("Smallest", "Narrowest", "Widest"))
    assert "<h3>Darkest</h3>" in report

    Image.new("RGB", (200, 40), (200, 40, 40)).save(data_dir / "red" / "wide.png")
    assert explore(run, data_dir, cache, "--folds", "0", "--html", html) == 0
    report = html.read_text()
    assert not any(f"<h3>{title}</h3>" in report for title in ("Smallest", "Narrowest"))
    assert report.split("<h3>Widest</h3>")[1].split("<h3>")[0].count("<figure>") == 1


def test_a_class_with_one_image_is_explored(data_dir: Path, cache: Path, run: Run, tmp_path: Path) -> None:
    for index in range(1, 8):
        (data_dir / "blue" / f"{index}.png").unlink()
    assert explore(run, data_dir, cache, "--html", tmp_path / "report.html") == 0


def test_a_folder_without_two_usable_classes_is_an_error(
    data_dir: Path, cache: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    for image in (data_dir / "blue").iterdir():
        image.write_bytes(b"")
    assert explore(run, data_dir, cache) == 3
    assert "fewer than two classes have usable images" in capsys.readouterr().err


def test_confident_learning_follows_the_definition_of_its_authors() -> None:
    # The thresholds are the mean probabilities of the own label: 0.7 for class 0, 0.6 for class 1.
    first = np.array([0.9, 0.9, 0.9, 0.5, 0.3, 0.35, 0.3, 0.2, 0.75])
    probabilities = np.stack([first, 1 - first], axis=1)
    labels = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1])
    doubts = label_errors.find(probabilities, labels, doubtful_below=0.0)
    assert {(each.index, each.suggested) for each in doubts} == {(4, 1), (8, 0)}
    assert all(each.probable for each in doubts)
    assert [each.index for each in doubts] == [8, 4]


def test_images_without_a_prediction_are_never_doubtful() -> None:
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.0, 0.0]])
    assert label_errors.find(probabilities, np.array([0, 0, 1]), doubtful_below=0.5) == []


def test_an_image_far_from_all_others_is_an_outlier_even_if_it_is_there_twice() -> None:
    random = np.random.default_rng(0)
    features = (random.normal(size=(60, 20)) * 0.1 + 1).astype(np.float32)
    features[7] = features[8] = -1
    groups = np.arange(60)
    groups[8] = 7
    assert set(outliers.find(outliers.distances(features, groups))) == {7, 8}


def test_measurements_distinguish_bright_sharp_colourful_and_wide_images(data_dir: Path) -> None:
    shutil.rmtree(data_dir / "blue")
    (data_dir / "blue").mkdir()
    Image.new("L", (200, 50), 250).save(data_dir / "blue" / "0-bright-and-wide.png")
    smooth(3).save(data_dir / "blue" / "1-soft.png")
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    Image.fromarray(noise).save(data_dir / "blue" / "2-noise.png")
    turned = Image.new("RGB", (200, 50), "black")
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(data_dir / "blue" / "3-turned.jpg", exif=exif)
    pictures = reading.read(data_dir).pictures[:4]
    found = measurements.measure(pictures, no_progress)
    assert found.aspect.tolist() == [4.0, pytest.approx(4 / 3), 1.0, 0.25]
    assert found.brightness[0] == pytest.approx(250)
    assert found.colour[0] == found.sharpness[0] == 0
    assert found.sharpness[2] > 5 * found.sharpness[1] > 0
    assert found.colour[1] > 20


def test_a_training_after_the_exploration_finds_the_features(
    data_dir: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = tmp_path / "own-cache"
    assert explore(run, data_dir, cache, "--folds", "0") == 0
    assert "Compute features" in capsys.readouterr().err
    options = ("--backbone", "efficientnet_lite0@64", "--cache", cache, "--views", "1", "--folds", "2")
    assert run("train", data_dir, "--out", tmp_path / "run", *options) == 0
    assert "Compute features" not in capsys.readouterr().err
