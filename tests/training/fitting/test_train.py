"""Training is reproducible, resumes after a kill, and measures only on images it was not fitted on."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from imageclassifier_training.networks import learned

TUNING = ["--backbone", "efficientnet_lite0@64", "--fine-tune", "2", "--patience", "0", "--folds", "0"]
TUNING += ["--learning-rate", "0.001"]
Run = Callable[..., int]


def arrays(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / "learned.npz", allow_pickle=False) as stored:
        return dict(stored)


def assert_same(one: Path, other: Path) -> None:
    first, second = arrays(one), arrays(other)
    assert first.keys() == second.keys()
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name], err_msg=name)


def test_training_learns_colours_and_records_how(trained: Path) -> None:
    document = json.loads((trained / "training.json").read_text())
    assert document["metrics"]["cross_validation"]["accuracy"] == 1.0
    assert document["classes"] == [
        {"name": "blue", "message": "blue"},
        {"name": "red", "message": "It is red!"},
    ]
    assert document["record"]["pictures"] == {"blue": 8, "red": 8}
    assert document["data_digest"].startswith("sha256:")


def test_out_of_fold_predictions_and_the_digests_of_the_images_are_kept(trained: Path) -> None:
    with (trained / "out_of_fold.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 16
    assert {row["fold"] for row in rows} == {"0", "1"}
    assert all(row["predicted"] == row["class"] for row in rows)
    assert all(float(row[f"p({row['class']})"]) > 0.5 for row in rows)
    digests = {int(row["sha256"][:16], 16) for row in rows}
    assert set(learned.load(trained).trained_on.tolist()) == digests


def test_the_threshold_and_the_temperature_are_chosen_from_the_out_of_fold_predictions(
    shared_data: Path, cache: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--backbone", "efficientnet_lite0@64", "--folds", "2", "--cache", cache]
    html = tmp_path / "report.html"
    rule = ["--threshold", "precision=0.9", "--html", html]
    assert run("train", shared_data, "--out", tmp_path / "run", *arguments, *rule) == 0
    assert "each fold has a threshold that was chosen on the other folds" in capsys.readouterr().out
    assert run("train", shared_data, "--out", tmp_path / "raw", *arguments, "--no-calibration") == 0
    result, raw = learned.load(tmp_path / "run"), learned.load(tmp_path / "raw")
    assert 0 < result.threshold < 1
    assert result.threshold != 0.5
    temperature = result.record["temperature"]
    assert temperature != 1
    np.testing.assert_allclose(
        result.learned.head.kernel * temperature, raw.learned.head.kernel, rtol=1e-4, atol=1e-7
    )
    assert "Calibration and threshold were chosen on the other folds" in html.read_text()


def test_a_class_with_two_images_is_trained_and_measured(data_dir: Path, cache: Path, run: Run) -> None:
    for index in range(2, 8):
        (data_dir / "blue" / f"{index}.png").unlink()
    out = data_dir.parent / "run"
    arguments = ["--backbone", "efficientnet_lite0@64", "--folds", "4", "--cache", cache, "--out", out]
    assert run("train", data_dir, *arguments) == 0
    document = json.loads((out / "training.json").read_text())
    assert [each["pictures"] for each in document["metrics"]["cross_validation"]["classes"]] == [2, 8]


def test_a_class_with_one_image_can_be_trained_but_not_measured(
    data_dir: Path, cache: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    for index in range(1, 8):
        (data_dir / "blue" / f"{index}.png").unlink()
    arguments = ["--backbone", "efficientnet_lite0@64", "--cache", cache, "--out", data_dir.parent / "run"]
    assert run("train", data_dir, *arguments) == 3
    assert "error: Class 'blue' has one distinct image" in capsys.readouterr().err
    assert run("train", data_dir, *arguments, "--folds", "0") == 0


def test_the_same_seed_gives_the_same_head(
    trained: Path, shared_data: Path, cache: Path, run: Run, tmp_path: Path
) -> None:
    out = tmp_path / "again"
    arguments = ["--backbone", "efficientnet_lite0@64", "--folds", "2", "--cache", cache]
    assert run("train", shared_data, "--out", out, *arguments) == 0
    assert_same(trained, out)


def test_a_second_run_reads_its_features_from_the_cache_even_if_files_were_renamed(
    trained: Path,
    shared_data: Path,
    cache: Path,
    run: Run,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    moved = tmp_path / "moved"
    for source in shared_data.rglob("*.png"):
        target = moved / source.parent.name / f"renamed-{source.name}"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    capsys.readouterr()
    arguments = ["--backbone", "efficientnet_lite0@64", "--folds", "0"]
    assert run("train", moved, "--out", tmp_path / "run", *arguments, "--cache", cache) == 0
    assert "Compute features" not in capsys.readouterr().err
    assert run("train", moved, "--out", tmp_path / "cold", *arguments, "--cache", tmp_path / "empty") == 0
    assert "Compute features" in capsys.readouterr().err


def test_cross_validation_of_random_labels_is_no_better_than_chance(
    cache: Path, run: Run, tmp_path: Path
) -> None:
    """If held-out images took part in the fit, memorised noise would look like accuracy."""
    random = np.random.default_rng(0)
    from PIL import Image

    for index in range(60):
        folder = tmp_path / "noise" / ("a" if index % 2 else "b")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(folder / f"{index}.png")
    out = tmp_path / "run"
    arguments = ["--backbone", "efficientnet_lite0@64", "--cache", cache]
    assert run("train", tmp_path / "noise", "--out", out, *arguments) == 0
    figures = json.loads((out / "training.json").read_text())["metrics"]["cross_validation"]
    assert 0.2 < figures["accuracy"] < 0.8


def test_fine_tuning_changes_only_the_last_blocks_and_is_restored_from_its_deltas(
    shared_data: Path, cache: Path, run: Run, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    assert run("train", shared_data, "--out", out, *TUNING, "--epochs", "2", "--cache", cache) == 0
    moved = {name.split("/")[2] for name in arrays(out) if name.startswith("steps/")}
    assert {name.split("_")[0] for name in moved} == {"block15", "head"}
    assert any(values.any() for name, values in arrays(out).items() if name.startswith("steps/"))
    assert list((out / "logs" / "final").glob("events.out.tfevents.*"))
    assert not (out / "checkpoints").exists()
    network = learned.load(out).network()
    untouched = learned.load(out)
    layer = network.branches[0].get_layer("block15_project")
    from imageclassifier_training.networks import network as networks

    original = networks.build(untouched.architecture, 2).branches[0].get_layer("block15_project")
    assert not np.array_equal(layer.get_weights()[0], original.get_weights()[0])


def test_mixed_precision_trains_float32_weights_almost_like_float32(
    shared_data: Path, cache: Path, run: Run, tmp_path: Path
) -> None:
    changes = []
    for name, more in (("float32", []), ("bfloat16", ["--mixed-precision"])):
        arguments = [*TUNING, "--epochs", "2", "--cache", cache, *more]
        assert run("train", shared_data, "--out", tmp_path / name, *arguments) == 0
        stored = arrays(tmp_path / name)
        names = sorted(each.removeprefix("steps/") for each in stored if each.startswith("steps/"))
        changes.append([(stored[f"steps/{each}"] * stored[f"sizes/{each}"]).ravel() for each in names])
    exact, mixed = (np.concatenate(each) for each in changes)
    assert not np.array_equal(exact, mixed)
    assert exact @ mixed > 0.8 * np.linalg.norm(exact) * np.linalg.norm(mixed)  # the same direction


def test_a_killed_training_resumes_and_ends_with_the_same_weights(
    shared_data: Path, cache: Path, run: Run, tmp_path: Path
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    arguments = ["--epochs", "12", "--cache", str(cache)]
    assert run("train", shared_data, "--out", whole, *TUNING, *arguments) == 0
    command = [sys.executable, "-m", "imageclassifier_training", "train", str(shared_data)]
    command += ["--out", str(killed), *TUNING, *arguments]
    checkpoint = killed / "checkpoints" / "final.npz"
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not checkpoint.exists():
            assert process.poll() is None, "the training ended before it wrote a checkpoint"
            time.sleep(0.01)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert not (killed / "training.json").exists()
    with np.load(checkpoint, allow_pickle=False) as stored:
        reached = json.loads(str(stored["state"]))[1]["epoch"]
    assert 1 <= reached < 12
    assert run("train", shared_data, "--out", killed, *TUNING, *arguments) == 0
    assert_same(whole, killed)
    assert not checkpoint.exists()


def test_early_stopping_ends_without_improvement_and_keeps_the_best_epoch(
    shared_data: Path, cache: Path, run: Run, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    arguments = [*TUNING, "--patience", "1", "--epochs", "30", "--learning-rate", "0.5"]
    assert run("train", shared_data, "--out", out, *arguments, "--cache", cache) == 0
    history = json.loads((out / "training.json").read_text())["record"]["history"]
    losses = [entry["hold_out_loss"] for entry in history]
    assert len(losses) < 30
    assert losses[-1] >= min(losses[:-1])


def test_a_damaged_checkpoint_is_ignored(shared_data: Path, cache: Path, run: Run, tmp_path: Path) -> None:
    clean, dirty = tmp_path / "clean", tmp_path / "dirty"
    arguments = [*TUNING, "--epochs", "1", "--cache", cache]
    assert run("train", shared_data, "--out", clean, *arguments) == 0
    (dirty / "checkpoints").mkdir(parents=True)
    (dirty / "checkpoints" / "final.npz").write_bytes(b"PK\x03\x04 half")
    assert run("train", shared_data, "--out", dirty, *arguments) == 0
    assert_same(clean, dirty)


def test_validation_images_are_measured_separately(
    data_dir: Path, shared_data: Path, cache: Path, run: Run, tmp_path: Path
) -> None:
    for path in list(data_dir.rglob("*.png")):
        path.unlink()
    from PIL import Image

    for name, colour in (("blue", (0, 0, 255)), ("red", (255, 0, 0))):
        Image.new("RGB", (30, 30), colour).save(data_dir / name / "plain.png")
    out = tmp_path / "run"
    arguments = ["--backbone", "efficientnet_lite0@64", "--folds", "0", "--validation", data_dir]
    assert run("train", shared_data, "--out", out, *arguments, "--cache", cache) == 0
    figures = json.loads((out / "training.json").read_text())["metrics"]
    assert list(figures) == ["validation"]
    assert figures["validation"]["pictures"] == 2


def test_the_evaluated_network_has_the_saved_weights(
    shared_data: Path, cache: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imageclassifier_training.fitting.fine_tuning import Tuner
    from imageclassifier_training.networks import network as networks
    from imageclassifier_training.networks.architecture import Architecture, Branch

    judged: list[dict[str, list[np.ndarray]]] = []
    original = Tuner.probabilities

    def spy(tuner: Tuner, *arguments: object) -> np.ndarray:
        judged.append({layer.name: layer.get_weights() for layer in tuner.blocks.layers})
        return original(tuner, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Tuner, "probabilities", spy)
    options = [*TUNING, "--learning-rate", "0.02", "--folds", "2", "--epochs", "3", "--cache", cache]
    assert run("train", shared_data, "--out", tmp_path / "run", *options) == 0
    assert len(judged) == 2
    network = networks.build(Architecture((Branch.parse("efficientnet_lite0@64"),)), 2)
    moved = 0
    for name, weights in judged[0].items():
        for before, after in zip(
            network.branches[0].get_layer(name).get_weights() if weights else [], weights, strict=True
        ):
            saved = learned.Delta.between(before, after).apply(before)
            # Half a step would be about 1e-4.
            assert np.abs(saved - after).max() <= 1e-6 * max(1.0, float(np.abs(after).max()))
            moved += bool((before != after).any())
    assert moved


def test_a_killed_extraction_keeps_the_features_that_it_has_computed(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imageclassifier_training.fitting import features
    from imageclassifier_training.networks import network as networks
    from imageclassifier_training.networks.architecture import Architecture, Branch
    from imageclassifier_training.pictures import reading

    network = networks.build(Architecture((Branch.parse("efficientnet_lite0@64"),)), 2)
    pictures = reading.read(shared_data).pictures
    monkeypatch.setattr(features, "_BATCH", 4)
    monkeypatch.setattr(features, "_SAVE_SECONDS", 0.0)

    def killed(step: str, done: int, total: int) -> None:
        if done == 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        features.extract(network, pictures, 0, tmp_path, killed)
    shown = []
    features.extract(network, pictures, 0, tmp_path, lambda step, done, total: shown.append((done, total)))
    assert shown[0] == (8, 16)
    assert shown[-1] == (16, 16)
