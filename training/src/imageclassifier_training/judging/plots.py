"""Draws the plots of a report as SVG: confusion matrix, calibration, threshold curve and ROC curve."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import matplotlib
import numpy as np
from sklearn.metrics import roc_curve

from . import metrics
from .evaluate import Evaluation

matplotlib.use("Agg")
import matplotlib.pyplot as plt

_THRESHOLDS = np.linspace(0.02, 0.98, 49)


def draw_all(evaluation: Evaluation) -> list[tuple[str, bytes]]:
    """Draw the plots that apply to this model; returns the title and the SVG of each."""
    return [(title, _svg(draw, evaluation)) for title, draw in _plots(evaluation)]


def _plots(evaluation: Evaluation) -> list[tuple[str, Callable[[Any, Evaluation], None]]]:
    plots: list[tuple[str, Callable[[Any, Evaluation], None]]] = [
        ("Confusion matrix", _confusion),
        ("Calibration", _calibration),
    ]
    if len(evaluation.model.contract.classes) == 2:
        plots += [("Threshold", _threshold)]
        if evaluation.metrics.roc_auc is not None:
            plots += [("ROC curve", _roc)]
    return plots


def _svg(draw: Callable[[Any, Evaluation], None], evaluation: Evaluation) -> bytes:
    figure, axes = plt.subplots(figsize=(4.2, 3.6), layout="constrained")
    try:
        draw(axes, evaluation)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    finally:
        plt.close(figure)
    return buffer.getvalue()


def _confusion(axes: Any, evaluation: Evaluation) -> None:
    matrix = np.array(evaluation.metrics.confusion)
    names = evaluation.model.contract.class_names
    axes.imshow(matrix, cmap="Blues")
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    for (row, column), count in np.ndenumerate(matrix):
        dark = count > matrix.max() / 2
        axes.text(column, row, str(count), ha="center", va="center", color="white" if dark else "black")


def _calibration(axes: Any, evaluation: Evaluation) -> None:
    bins = metrics.calibration(evaluation.probabilities, _labels(evaluation))
    confidence, accuracy, counts = zip(*bins, strict=True)
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1, linestyle="--")
    axes.plot(confidence, accuracy, marker="o")
    for x, y, count in zip(confidence, accuracy, counts, strict=True):
        axes.annotate(str(count), (x, y), textcoords="offset points", xytext=(4, -11), fontsize=7)
    axes.set_xlabel("predicted probability")
    axes.set_ylabel("share of correct predictions")


def _threshold(axes: Any, evaluation: Evaluation) -> None:
    curve = metrics.threshold_curve(evaluation.probabilities, _labels(evaluation), _THRESHOLDS.tolist())
    thresholds, accuracy, precision, recall = zip(*curve, strict=True)
    for values, name in ((accuracy, "accuracy"), (precision, "precision"), (recall, "recall")):
        axes.plot(thresholds, values, label=name)
    axes.axvline(evaluation.model.contract.threshold, color="grey", linewidth=1, linestyle="--")
    axes.set_xlabel(f"threshold for '{evaluation.model.contract.class_names[1]}'")
    axes.legend()


def _roc(axes: Any, evaluation: Evaluation) -> None:
    false_positives, true_positives, _ = roc_curve(_labels(evaluation), evaluation.probabilities[:, 1])
    axes.plot(false_positives, true_positives)
    axes.set_xscale("symlog", linthresh=0.01)  # shows the left end, where a good model's curve rises
    axes.set_xlim(0, 1)
    axes.set_xlabel("false positive rate")
    axes.set_ylabel("true positive rate")


def _labels(evaluation: Evaluation) -> Any:
    names = evaluation.model.contract.class_names
    return np.array([names.index(name) for name in evaluation.dataset.classes])[evaluation.dataset.labels]
