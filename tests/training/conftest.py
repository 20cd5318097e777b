"""Fixtures: drawn images of two classes, and one small training and export that the tests share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import pytest
from drawn_images import draw

#: The real network with a small input, so that a test takes seconds.
BACKBONE = "efficientnet_lite0@64"


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A folder with eight blue and eight red images, which a test may change."""
    folder = tmp_path / "data"
    draw(folder / "blue", (40, 40, 200), 8, seed=1)
    draw(folder / "red", (200, 40, 40), 8, seed=2)
    return folder


@pytest.fixture(scope="session")
def shared_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Like `data_dir`, but shared: tests only read it."""
    folder = tmp_path_factory.mktemp("shared") / "data"
    draw(folder / "blue", (40, 40, 200), 8, seed=1)
    draw(folder / "red", (200, 40, 40), 8, seed=2)
    return folder


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def run() -> Callable[..., int]:
    """Run the command line in this process and return its exit code."""
    from imageclassifier_training.cli import run as run_command

    return lambda *arguments: run_command([str(argument) for argument in arguments])


@pytest.fixture(scope="session")
def trained(shared_data: Path, cache: Path, run: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished training on frozen features."""
    out = tmp_path_factory.mktemp("trained") / "run"
    arguments = ["--backbone", BACKBONE, "--folds", "2", "--cache", cache, "--message", "red=It is red!"]
    assert run("train", shared_data, "--out", out, *arguments) == 0
    return out


@pytest.fixture(scope="session")
def exported(trained: Path, run: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the exported version of that training."""
    out = tmp_path_factory.mktemp("exported")
    assert run("export", trained, "--name", "colours", "--version", "3", "--out", out) == 0
    return out / "colours" / "3"


@pytest.fixture(scope="session")
def costs_file(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the network of that training costs, to be copied to a folder of trainings."""
    from imageclassifier_training.comparing import costs, runs

    file = tmp_path_factory.mktemp("costs") / costs.COSTS_FILE
    costs.measure(runs.find([trained]).runs, file).complete()
    return file
