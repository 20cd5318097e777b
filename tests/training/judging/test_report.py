"""Reports are one file without anything from outside, for two classes and for a hundred."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from drawn_images import smooth

from imageclassifier_training.judging import report
from imageclassifier_training.judging.judgement import Judgement
from imageclassifier_training.judging.plots import learning_curves
from imageclassifier_training.pictures.dataset import Picture


def judgement(folder: Path, classes: int) -> Judgement:
    """A judgement of ten images of each class, of which the last class is always taken for the first."""
    smooth(1).save(folder / "photo<1>.jpg")
    labels = np.repeat(np.arange(classes), 10)
    probabilities = np.full((len(labels), classes), 0.2 / classes)
    probabilities[np.arange(len(labels)), np.where(labels == classes - 1, 0, labels)] += 0.8
    pictures = tuple(Picture(folder / "photo<1>.jpg", int(label), f"{label:064x}") for label in labels)
    names = tuple(f"class {index:02d}" for index in range(classes))
    return Judgement(names, 0.5, pictures, labels, probabilities)


@pytest.mark.parametrize("classes", [2, 3, 100])
def test_a_report_shows_classes_plots_and_mistakes(tmp_path: Path, classes: int) -> None:
    page = report.Page("a <model>", "Evaluation", warning="Look here.", plots=(("More", "<svg></svg>"),))
    html = report.render(page, judgement(tmp_path, classes))
    assert "a &lt;model&gt;" in html
    assert "photo&lt;1&gt;.jpg" in html
    assert html.count("<svg") == (6 if classes == 2 else 4)
    assert html.count('<img src="data:') == 10
    assert ("Most frequent confusions" in html) == (classes > 2)
    assert ("among the five most probable" in html) == (classes > 5)
    for outside in ("http://", "https://", "<script", "<link"):
        assert outside not in html.replace("http://www.w3.org", "")


def test_the_most_frequent_confusions_come_first(tmp_path: Path) -> None:
    assert judgement(tmp_path, 4).confusions() == [("class 03", "class 00", 10)]


def test_learning_curves_show_training_and_hold_out() -> None:
    svg = learning_curves(
        [{"epoch": 1, "loss": 0.5, "hold_out_loss": 0.6}, {"epoch": 2, "loss": 0.4, "hold_out_loss": 0.5}]
    )
    assert "hold-out" in svg
    assert "currentColor" in svg
