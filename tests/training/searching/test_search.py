"""A search trains real networks, continues after a kill, and ends with a leaderboard."""

from __future__ import annotations

import csv
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

Run = Callable[..., int]
#: Two settings: the head only, and one fine-tuned block.
SMALL = ["--backbones", "efficientnet_lite0@64", "--fits", "squash", "--views", "1", "--blocks", "none,1"]
SMALL += ["--learning-rates", "1e-3", "--folds", "2", "--epochs", "1"]
SMALL += ["--class-weights", "yes"]
PLAIN = "efficientnet_lite0@64-squash-1-views"


@pytest.fixture(scope="module")
def searched(
    shared_data: Path, cache: Path, run: Run, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, float]:
    """The folder of a search that was killed in its second trial, and then continued until all was tried.

    Returns it with the time at which the killed process had finished its first trial.
    """
    out = tmp_path_factory.mktemp("search") / "out"
    arguments = ["search", shared_data, "--minutes", "60", "--out", out, "--cache", cache, *SMALL]
    process = subprocess.Popen(
        [sys.executable, "-m", "imageclassifier_training", *map(str, arguments)], stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith(b"trial 0"):
            break
    while len(_begun(out)) < 2:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    finished = (out / "trials" / PLAIN / "training.json").stat().st_mtime
    assert run(*arguments) == 0
    return out, finished


def _begun(out: Path) -> list[str]:
    """The lines of the journal that create a trial which runs at once."""
    return [
        line
        for line in (out / "journal.log").read_text().splitlines()
        if '"param_name":"class_weights"' in line
    ]


def test_a_killed_search_continues_and_keeps_what_was_finished(searched: tuple[Path, float]) -> None:
    out, finished = searched
    trained = {each.parent.name for each in (out / "trials").glob("*/training.json")}
    assert trained == {PLAIN, f"{PLAIN}-tune-1-rate-0.001"}
    assert (out / "trials" / PLAIN / "training.json").stat().st_mtime == finished


def test_all_trials_have_the_same_folds(searched: tuple[Path, float]) -> None:
    folds = []
    for path in (searched[0] / "trials").glob("*/out_of_fold.csv"):
        with path.open() as file:
            folds.append({row["sha256"]: row["fold"] for row in csv.DictReader(file)})
    assert len(folds) == 2
    assert all(each == folds[0] for each in folds)


def test_the_search_ends_with_its_leaderboard(searched: tuple[Path, float]) -> None:
    with (searched[0] / "leaderboard.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert PLAIN in {row["run"] for row in rows}
    assert [int(row["place"]) for row in rows] == list(range(1, len(rows) + 1))
    assert (searched[0] / "leaderboard.html").exists()


def test_tensorboard_gets_the_parameters_and_figures_of_each_trial(searched: tuple[Path, float]) -> None:
    events = EventAccumulator(str(searched[0] / "logs" / "trial-0")).Reload()
    assert {"accuracy", "log_loss", "level"} <= set(events.Tags()["tensors"])
    assert "_hparams_/session_start_info" in events.summary_metadata


def test_a_search_whose_settings_were_all_tried_trains_nothing(
    searched: tuple[Path, float], shared_data: Path, cache: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["search", shared_data, "--minutes", "60", "--out", searched[0], "--cache", cache, *SMALL]
    assert run(*arguments) == 0
    shown = capsys.readouterr()
    assert "All settings were tried. Finished trials: 2" in shown.out
    assert not shown.err


def test_everything_that_is_wrong_is_reported_before_any_training(
    data_dir: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data_dir / "blue" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 broken")
    (data_dir / "red" / "empty.png").write_bytes(b"")
    assert run("search", data_dir, "--minutes", "1", "--out", tmp_path / "out", *SMALL) == 3
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 2
    assert not (tmp_path / "out").exists()


def test_weights_that_are_missing_are_all_named_at_once(
    shared_data: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "vgg16_notop.h5").touch()
    arguments = ["--backbones", "xception,vgg16,efficientnet_b3", "--weights", tmp_path / "weights"]
    assert run("search", shared_data, "--minutes", "1", "--out", tmp_path / "out", *arguments) == 4
    (line,) = [each for each in capsys.readouterr().err.splitlines() if each.startswith("error: ")]
    assert "no weights file for efficientnet_b3, xception" in line
    assert not (tmp_path / "out").exists()


def test_a_setting_that_is_impossible_fails_alone_and_says_why(
    shared_data: Path, cache: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--out", tmp_path / "out", "--cache", cache, "--backbones", "efficientnet_lite0@64"]
    arguments += ["--fits", "squash", "--views", "1", "--blocks", "none,99", "--learning-rates", "1e-3"]
    arguments += ["--class-weights", "yes"]
    assert run("search", shared_data, "--minutes", "60", "--folds", "2", *arguments) == 0
    shown = capsys.readouterr()
    assert "failed. efficientnet_lite0@64 has " in shown.err
    assert "Finished trials: 1, stopped early: 0" in shown.out


def test_a_full_disk_is_one_line_and_the_search_continues_afterwards(
    shared_data: Path, cache: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["search", shared_data, "--minutes", "60", "--out", tmp_path / "out", "--cache", cache]
    arguments += [*SMALL, "--blocks", "none"]
    # No file may grow beyond 4 KiB, so either the training or the journal cannot be written.
    limited = subprocess.run(
        [sys.executable, "-m", "imageclassifier_training", *map(str, arguments)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY)),
        # Python would write half of a compiled module, which no later process can import.
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert limited.returncode == 1
    assert "Traceback" not in limited.stderr
    (line,) = [each for each in limited.stderr.splitlines() if each.startswith("error: ")]
    assert "run the same command again" in line
    assert run(*arguments) == 0
    assert "Finished trials: 1" in capsys.readouterr().out


@pytest.mark.parametrize(
    "option",
    [
        ["--minutes", "0"],
        ["--minutes", "nan"],
        ["--folds", "1"],
        ["--backbones", "resnet"],
        ["--backbones", ""],
        ["--views", "0"],
        ["--blocks", "some"],
        ["--learning-rates", "2"],
        ["--fits", "stretch"],
        ["--class-weights", "maybe"],
        ["--weights", "x", "--random-weights"],
    ],
)
def test_an_invalid_option_is_wrong_usage(option: list[str], run: Run, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        run("search", tmp_path, "--minutes", "1", "--out", tmp_path, *option)
    assert ended.value.code == 2
