"""A finished training is saved in small files, and a damaged one is an error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imageclassifier_training.errors import TrainingError
from imageclassifier_training.networks import learned, random_weights
from imageclassifier_training.networks.learned import Delta


def test_a_delta_is_exact_to_half_a_step_of_each_channel() -> None:
    random = np.random.default_rng(0)
    old = random.normal(0, 1, (3, 3, 4, 6)).astype(np.float32)
    change = random.normal(0, 1, old.shape).astype(np.float32) * np.logspace(-5, 0, 6, dtype=np.float32)
    change[..., 2] = 0
    found = Delta.between(old, old + change).apply(old)
    largest = np.abs(change).max(axis=(0, 1, 2))
    assert (np.abs(found - (old + change)) <= largest / 127 * 0.51 + 1e-6).all()
    assert (found[..., 2] == old[..., 2]).all()


def test_an_export_with_other_backbone_weights_than_the_training_had_is_refused(
    shared_data: Path,
    cache: Path,
    run: Callable[..., int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The head fits only the features that it was trained on: with others, the model would guess."""
    for seed in (1, 2):
        random_weights.write(tmp_path / str(seed), ["vgg16"], seed)
    arguments = ["--backbone", "vgg16@64", "--folds", "0", "--views", "1", "--cache", cache]
    out = tmp_path / "run"
    assert run("train", shared_data, "--out", out, *arguments, "--weights", tmp_path / "1") == 0
    export = ["export", out, "--name", "m", "--out", tmp_path / "models", "--weights"]
    assert run(*export, tmp_path / "2") == 1
    assert "The weights of vgg16 are not those that the training used" in capsys.readouterr().err
    assert run(*export, tmp_path / "1" / "vgg16.weights.h5") == 0
    assert (tmp_path / "models" / "m" / "1").is_dir()


def test_a_depthwise_kernel_has_a_step_size_for_each_channel() -> None:
    change = np.zeros((3, 3, 5, 1), np.float32)
    change[..., 0, 0], change[..., 1, 0] = 100.0, 0.01
    delta = Delta.between(np.zeros_like(change), change)
    np.testing.assert_allclose(delta.apply(np.zeros_like(change)), change, rtol=1e-5)
    assert delta.step_sizes.size == 5


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda folder: (folder / "training.json").unlink(), "training.json is missing"),
        (lambda folder: (folder / "learned.npz").unlink(), "learned.npz is missing"),
        (lambda folder: (folder / "learned.npz").write_bytes(b"PK"), "is damaged"),
        (lambda folder: (folder / "training.json").write_text("{"), "is damaged"),
        (lambda folder: (folder / "training.json").write_text('{"schema": 9}'), "schema 9"),
    ],
)
def test_an_incomplete_training_is_an_error(
    trained: Path, tmp_path: Path, spoil: Callable[[Path], Any], sentence: str
) -> None:
    for name in ("training.json", "learned.npz"):
        (tmp_path / name).write_bytes((trained / name).read_bytes())
    spoil(tmp_path)
    with pytest.raises(TrainingError, match=sentence):
        learned.load(tmp_path)
