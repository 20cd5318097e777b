"""The Python API does what the commands do. The notebooks use the rest of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import imageclassifier_training as ict


def test_importing_the_package_imports_no_tensorflow() -> None:
    code = "import sys, imageclassifier_training as ict; print('tensorflow' in sys.modules, len(ict.__all__))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown == f"False {len(ict.__all__)}\n"


def test_each_name_of_the_api_exists_and_is_documented() -> None:
    assert all((getattr(ict, name).__doc__ or "").strip() for name in ict.__all__)


def test_an_evaluation_is_about_images_that_the_model_was_not_trained_on(
    exported: Path, data_dir: Path, tmp_path: Path
) -> None:
    Image.new("RGB", (30, 30), (200, 40, 40)).save(data_dir / "red" / "new.png")
    Image.new("RGB", (30, 30), (205, 40, 40)).save(data_dir / "blue" / "wrong.png")
    evaluation = ict.evaluate(exported, data_dir, html=tmp_path / "report.html")
    assert (evaluation.trained_on, evaluation.judgement.metrics.accuracy) == (16, 0.5)
    assert "trained on 16 of the 18 images" in (tmp_path / "report.html").read_text()


def test_a_search_reads_the_images_before_it_needs_a_plan(tmp_path: Path) -> None:
    with pytest.raises(ict.DataError, match="photographs"):
        ict.search(tmp_path / "photographs", tmp_path / "runs", minutes=1)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"options": ict.Options(folds=0, threshold=ict.ThresholdRule("precision", 0.98))}, "--folds"),
        ({"options": ict.Options(folds=0), "html": "report.html"}, "--folds"),
        ({"messages": {"green": "It is green!"}}, "The classes are blue, red"),
    ],
)
def test_options_that_a_training_would_ignore_are_an_error(
    shared_data: Path, tmp_path: Path, arguments: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ict.TrainingError, match=problem):
        ict.train(shared_data, tmp_path / "run", **arguments)
    assert not (tmp_path / "run").exists()


def test_broken_images_are_an_error_unless_they_are_skipped(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data_dir / "red" / "broken.png").write_bytes(b"\x89PNG broken")
    with pytest.raises(ict.DataError, match="broken\\.png"):
        ict.train(data_dir, tmp_path / "run")
    options = ict.Options(ict.Architecture.parse("efficientnet_lite0@64"), views=1, folds=2)
    data = ict.Data(data_dir, skip_broken=True, cache=tmp_path / "cache")
    training = ict.train(data, tmp_path / "run", options, messages={"red": "It is red!"})
    assert training.record["pictures"] == {"blue": 8, "red": 8}
    assert [each.message for each in training.classes] == ["blue", "It is red!"]
    assert "Skipped 1 unusable file " in capsys.readouterr().err
