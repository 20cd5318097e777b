"""Other formats predict what the SavedModel predicts, or the export ends."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from imageclassifier_gateway.pixels.images import prepare
from imageclassifier_training.errors import ModelError, TrainingError
from imageclassifier_training.exporting import saved_model
from imageclassifier_training.fitting.cross_validation_results import Kept
from imageclassifier_training.judging.operating_point import OutOfFold
from imageclassifier_training.publishing.formats import comparison, images
from imageclassifier_training.publishing.formats.candidate import Format
from imageclassifier_training.publishing.formats.onnx import ONNX
from imageclassifier_training.publishing.formats.tflite import TFLITE

Run = Callable[..., int]


@pytest.fixture(scope="module")
def version(trained: Path, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version with all formats. A conversion takes seconds, so the tests share it."""
    out = tmp_path_factory.mktemp("formats")
    arguments = ["--name", "colours", "--out", out, "--formats", "tflite,tflite-int8,onnx"]
    assert run("export", trained, *arguments) == 0
    return out / "colours" / "1"


def test_each_format_takes_the_same_pixels_and_returns_almost_the_same_probabilities(
    version: Path, shared_data: Path
) -> None:
    original = saved_model.load(version)
    png = next((shared_data / "red").glob("*.png")).read_bytes()
    pixels = prepare(png, original.contract.input)
    expected = original.probabilities(pixels[None])[0]
    for each, file, tolerance in (
        (TFLITE, "model.tflite", 1e-4),
        (TFLITE, "model-int8.tflite", 0.1),
        (ONNX, "model.onnx", 1e-4),
    ):
        found = each.load((version / "formats" / file).read_bytes())(pixels)
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, expected, atol=tolerance, err_msg=file)


def test_the_int8_model_is_a_quarter_of_the_size_and_has_8_bit_convolutions(version: Path) -> None:
    large, small = (version / "formats" / name for name in ("model.tflite", "model-int8.tflite"))
    assert small.stat().st_size < 0.35 * large.stat().st_size
    interpreter = tf.lite.Interpreter(model_path=str(small))
    types = [np.dtype(each["dtype"]) for each in interpreter.get_tensor_details()]
    assert types.count(np.dtype(np.int8)) > 50


def test_the_card_has_the_table_of_the_formats(version: Path) -> None:
    card = (version / "MODEL_CARD.md").read_text()
    for file in ("model.tflite", "model-int8.tflite", "model.onnx"):
        (line,) = [each for each in card.splitlines() if f"`formats/{file}`" in each]
        assert "100.00 % of 20" in line  # 16 training images and 4 golden ones
    assert "--formats tflite,tflite-int8,onnx" in card


def test_a_format_that_predicts_other_classes_is_refused(version: Path, shared_data: Path) -> None:
    files = sorted(shared_data.rglob("*.png"))
    given = comparison.Images(saved_model.load(version), files)
    always_blue = Format("blue", "model.blue", lambda _: b"", lambda _: lambda _: np.array([1.0, 0.0]), "")
    with pytest.raises(ModelError, match=r"blue predicts the same class .* for only \d+\.\d % of 20 images"):
        comparison.compare(always_blue, b"", given)


def test_training_images_that_moved_are_found_by_their_content(shared_data: Path, tmp_path: Path) -> None:
    files = sorted(shared_data.rglob("*.png"))
    digests = tuple(hashlib.sha256(each.read_bytes()).hexdigest() for each in files)
    none = OutOfFold(np.empty((1, 16, 2)), np.empty((1, 16), int), np.empty(16, int))
    kept = Kept(tuple(str(tmp_path / f"gone{i}.png") for i in range(16)), digests, none)
    with pytest.raises(TrainingError, match=r"None of the training images \(16\) was found .* --pictures"):
        images.find(kept, None)
    shutil.copytree(shared_data, tmp_path / "moved" / "deeper")
    (tmp_path / "moved" / "deeper" / "red" / "0.png").write_bytes(b"another content")
    assert len(images.find(kept, tmp_path / "moved")) == 15


def test_a_comparison_on_few_of_the_training_images_is_noted(
    trained: Path,
    shared_data: Path,
    run: Run,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copytree(shared_data / "red", tmp_path / "some")
    arguments = ["--name", "m", "--out", tmp_path, "--formats", "tflite", "--pictures", tmp_path / "some"]
    assert run("export", trained, *arguments) == 0
    note = "Only 8 of 16 training images could be found"
    assert f"note: {note}" in capsys.readouterr().err
    monkeypatch.setattr(comparison, "LEAST_AGREEMENT", 1.1)
    assert run("export", trained, *arguments) == 5
    assert f"Remove tflite from --formats. {note}" in capsys.readouterr().err


def test_an_unknown_format_is_wrong_usage(trained: Path, run: Run, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        run("export", trained, "--name", "m", "--out", tmp_path, "--formats", "h5")
    assert ended.value.code == 2


def test_formats_of_a_training_without_predictions_are_refused_before_the_export(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pizza = Path(__file__).parents[3] / "examples" / "pizza" / "v2"
    assert run("export", pizza, "--name", "m", "--out", tmp_path, "--formats", "tflite") == 1
    assert "has no out_of_fold.csv" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
