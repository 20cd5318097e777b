"""The command line: a clear message and an exit code for each mistake, and complete reports."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

Run = Callable[..., int]


@pytest.mark.parametrize(
    "command",
    [
        "explore",
        "train",
        "search",
        "leaderboard",
        "champion",
        "export",
        "adopt",
        "evaluate",
        "predict",
        "score",
        "describe",
        "familiarity",
    ],
)
def test_help_shows_examples(command: str, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(command, "--help")
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert "examples:" in shown
    assert f"imageclassifier-training {command} " in shown


def test_the_help_of_the_program_has_examples_settings_and_exit_codes(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run("--help")
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert all(part in shown for part in ("examples", "XDG_CACHE_HOME", "exit codes:"))
    assert len(shown.splitlines()) <= 50
    commands = shown.split("COMMAND\n")[1].split("\n\n")[0].splitlines()
    assert all(len(line.split()) > 2 for line in commands)  # a name and its summary in each line


@pytest.mark.parametrize("arguments", [["learn"], ["train", "--fast"], ["describe", "model", "--x"], []])
def test_a_wrong_argument_is_one_line_with_exit_code_2(
    arguments: list[str], run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(*arguments)
    assert ended.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.endswith("--help`.")


def test_each_problem_of_the_data_is_one_line_and_the_exit_code_is_3(
    data_dir: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data_dir / "blue" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 broken")
    (data_dir / "green").mkdir()
    assert run("train", data_dir, "--out", tmp_path / "run") == 3
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 2
    assert any("broken.jpg" in line for line in lines)
    assert any("the class has no images" in line for line in lines)
    assert not (tmp_path / "run").exists()


def test_a_folder_with_one_class_is_an_error_without_a_traceback(data_dir: Path, tmp_path: Path) -> None:
    shutil.rmtree(data_dir / "red")
    command = [sys.executable, "-m", "imageclassifier_training", "train", data_dir, "--out", tmp_path / "run"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 3
    assert "A classifier needs at least two" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["export", "nowhere", "--name", "m", "--version", "1"], 1, "nowhere: no such folder. Give"),
        (["export", "{data}", "--name", "m", "--version", "1"], 1, "does not hold a finished training"),
        (["export", "nowhere", "--name", "Pizza Model"], 1, "Use another name, such as Pizza-Model."),
        (["export", "nowhere", "--name", "x" * 64], 1, "at most 63 letters"),
        (["adopt", "Xception", "--name", "../up"], 1, "Use another name, such as up."),
        (["score", "--gateway", "pizza:8080", "{data}", "--csv", "x"], 1, "http://pizza:8080, or https://"),
        (["score", "--gateway", "grpc://pizza", "{data}", "--csv", "x"], 1, "is not an HTTP URL"),
        (["describe", "nowhere"], 5, "nowhere: no such folder. Give the folder of a model"),
        (["describe", "{data}"], 5, "has neither saved_model.pb nor a subfolder with a version number"),
        (["train", "{data}", "--out", "x", "--backbone", "resnet"], 1, "Unknown backbone 'resnet'"),
        (["train", "{data}", "--out", "x", "--backbone", "vgg16@7"], 1, "from 32 to 1024 pixels"),
        (["train", "{data}", "--out", "x", "--message", "green=?"], 1, "must be CLASS=SENTENCE"),
        (["train", "{data}", "--out", "x", "--weights", "f"], 1, "--weights applies to exactly one backbone"),
    ],
)
def test_an_impossible_request_is_one_line(
    arguments: list[str],
    code: int,
    sentence: str,
    shared_data: Path,
    run: Run,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(*[each.format(data=shared_data) for each in arguments]) == code
    (line,) = [each for each in capsys.readouterr().err.splitlines() if each.startswith("error: ")]
    assert sentence in line


@pytest.mark.parametrize(
    "option", [["--folds", "1"], ["--views", "0"], ["--threshold", "2"], ["--fine-tune", "x"]]
)
def test_an_invalid_option_value_is_wrong_usage(option: list[str], run: Run, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        run("train", tmp_path, "--out", tmp_path, *option)
    assert ended.value.code == 2


def test_describe_prints_contract_metrics_and_signatures(
    exported: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("describe", exported.parent) == 0
    shown = capsys.readouterr().out
    for words in ("colours", "64 x 64", "red: It is red!", "cross-validation: accuracy 100.00 %", " MB in "):
        assert words in shown
    assert "serving_default: pixels uint8 (batch, 64, 64, 3) -> probabilities float32 (batch, 2)" in shown


def test_predict_classifies_each_image_and_fails_for_unreadable_ones(
    exported: Path, shared_data: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    red = shared_data / "red" / "0.png"
    (tmp_path / "notes.txt").write_text("not an image")
    assert run("predict", exported, red, "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["label"], answer["message"]) == ("red", "It is red!")
    assert run("predict", exported, red, tmp_path / "notes.txt") == 3
    shown = capsys.readouterr()
    assert f"{red}: It is red! (red " in shown.out
    assert f"error: {tmp_path / 'notes.txt'}: The file is not a picture" in shown.err


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The folder of a model. These commands end before they load it."""
    version = tmp_path / "models" / "colours" / "3"
    version.mkdir(parents=True)
    (version / "saved_model.pb").touch()
    return version.parent


def test_predict_names_the_command_for_a_folder(
    model: Path, shared_data: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("predict", model, shared_data) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {shared_data} is a folder, and `predict` takes image files.")
    assert f"imageclassifier-training score {model} {shared_data} --csv scores.csv" in line


@pytest.mark.parametrize(
    ("command", "options"), [("evaluate", []), ("predict", []), ("score", ["--csv", "scores.csv"])]
)
def test_swapped_arguments_are_one_line_with_the_right_order(
    command: str,
    options: list[str],
    model: Path,
    shared_data: Path,
    run: Run,
    capsys: pytest.CaptureFixture[str],
) -> None:
    image = shared_data / "red" / "0.png"
    assert run(command, image, model, *options) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert f"`{command}` takes MODEL first" in line
    assert line.endswith(f"Swap them: imageclassifier-training {command} {model} {image}")


def test_a_training_after_its_images_is_one_line_with_the_right_order(
    shared_data: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "training.json").touch()
    assert run("familiarity", shared_data, tmp_path) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.endswith(f"Swap them: imageclassifier-training familiarity {tmp_path} {shared_data}")


def test_a_folder_of_numbered_classes_is_not_taken_for_a_model(
    shared_data: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(shared_data / "red", tmp_path / "0")
    shutil.copytree(shared_data / "blue", tmp_path / "1")
    assert run("evaluate", shared_data, tmp_path) == 5
    assert "Swap" not in capsys.readouterr().err


def test_evaluation_on_the_training_images_is_not_called_accuracy(
    exported: Path, shared_data: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    html, figures = tmp_path / "report.html", tmp_path / "report.json"
    assert run("evaluate", exported, shared_data, "--html", html, "--json", figures) == 0
    shown = capsys.readouterr().out
    assert "NOT accuracy" in shown
    assert "accuracy by cross-validation" in shown
    document = json.loads(figures.read_text())
    assert (document["trained_on"], document["honest"]) == (16, False)
    assert "The model was trained on all of the images" in html.read_text()


def test_evaluation_counts_the_images_it_was_trained_on_and_measures_on_the_others(
    exported: Path, data_dir: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for index in range(3):
        Image.new("RGB", (30, 30), (200, 40 + index, 40)).save(data_dir / "red" / f"new{index}.png")
    Image.new("RGB", (30, 30), (205, 40, 40)).save(data_dir / "blue" / "wrong.png")
    (data_dir / "red" / "0.png").rename(data_dir / "red" / "renamed.png")
    figures, html = tmp_path / "report.json", tmp_path / "report.html"
    assert run("evaluate", exported, data_dir, "--json", figures, "--html", html) == 0
    document = json.loads(figures.read_text())
    assert (document["trained_on"], document["given_pictures"], document["pictures"]) == (16, 20, 4)
    assert document["accuracy"] == 0.75
    assert document["honest"]
    shown = capsys.readouterr().out
    assert "16 of 20" in shown
    assert "NOT accuracy" not in shown
    assert "trained on 16 of the 20 images: the figures are about the other 4" in html.read_text()


def test_evaluation_on_other_pictures_finds_the_mistakes_and_shows_them(
    exported: Path, data_dir: Path, run: Run, tmp_path: Path
) -> None:
    (data_dir / "red" / "0.png").rename(data_dir / "blue" / "mislabelled.png")
    html, figures = tmp_path / "report.html", tmp_path / "report.json"
    assert run("evaluate", exported, data_dir, "--html", html, "--json", figures) == 0
    document = json.loads(figures.read_text())
    assert document["trained_on"] == 16  # known by its content, although its class differs
    assert document["accuracy"] == 15 / 16
    assert document["confusion"] == [[8, 1], [0, 7]]
    (mistake,) = document["mistakes"]
    assert mistake["picture"].endswith("blue/mislabelled.png")
    assert mistake["answered"] == "red"
    report = html.read_text()
    assert "blue/mislabelled.png" in report.replace("<wbr>", "")
    assert report.count('<img src="data:') == 2  # the mistake, and where the model looked
    assert report.count("<svg") == 5
    for outside in ("http://", "https://", "<script", "<link"):
        assert outside not in report.replace("http://www.w3.org", "")


def test_evaluating_a_class_that_the_model_does_not_have_is_an_error(
    exported: Path, data_dir: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    (data_dir / "red").rename(data_dir / "green")
    assert run("evaluate", exported, data_dir) == 3
    assert (
        "The data set has the class 'green', but the model predicts only blue, red" in capsys.readouterr().err
    )


def test_describing_a_model_without_a_contract_is_an_error(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = Path(__file__).parents[2] / "examples" / "tiny_model" / "make.py"
    command = [sys.executable, script, tmp_path, "--variant", "legacy"]
    subprocess.run(command, check=True, capture_output=True)
    assert run("describe", tmp_path / "tiny") == 5
    assert "the signature 'contract' is missing" in capsys.readouterr().err


def test_broken_files_can_be_listed_and_skipped(
    data_dir: Path, cache: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for index in range(35):
        (data_dir / "blue" / f"empty{index}.jpg").write_bytes(b"")
    arguments = ["--folds", "2", "--backbone", "efficientnet_lite0@64", "--cache", cache]
    arguments = ["train", data_dir, "--out", tmp_path / "run", *arguments]
    assert run(*arguments) == 3
    shown = capsys.readouterr().err
    assert "5 more problems are not shown" in shown
    assert "add --skip-broken" in shown
    broken = tmp_path / "broken.csv"
    assert run(*arguments, "--broken-list", broken) == 3
    assert len(broken.read_text().splitlines()) == 36
    assert run(*arguments, "--skip-broken", "--broken-list", broken) == 0
    assert len(broken.read_text().splitlines()) == 36
    assert "note: Skipped 35 unusable files" in capsys.readouterr().err
    assert run(*arguments, "--exclude", broken) == 0


def test_advice_about_broken_files_is_given_only_to_those_who_have_not_taken_it(
    data_dir: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data_dir / "blue" / "empty.jpg").write_bytes(b"")
    arguments = ["train", data_dir, "--out", tmp_path / "run", "--folds", "50"]
    assert run(*arguments) == 3
    assert "To go on without the unusable file, add --skip-broken." in capsys.readouterr().err
    assert run(*arguments, "--skip-broken") == 3
    shown = capsys.readouterr().err
    assert "lower --folds" in shown
    assert "--skip-broken" not in shown


def test_evaluation_of_splits_uses_the_test_split(
    exported: Path, data_dir: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "photos"
    for name in ("train", "val", "test"):
        shutil.copytree(data_dir, root / name)
    assert run("evaluate", exported, root) == 0
    assert f"note: Of the splits, {root / 'test'} is evaluated." in capsys.readouterr().err
