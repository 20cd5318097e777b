"""Draws the plots of a report as SVG that takes the colours of the page, so that it fits light and dark.

The leaderboard and the exploration draw theirs in their templates.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import matplotlib
import numpy as np
from cycler import cycler
from matplotlib.colors import LinearSegmentedColormap
from sklearn.metrics import roc_curve

from . import metrics
from .judgement import Judgement

matplotlib.use("Agg")
import matplotlib.pyplot as plt

_THRESHOLDS = np.linspace(0.02, 0.98, 49)
#: Up to this number of classes, each cell of the confusion matrix has a number, and each class has a curve.
_FEW_CLASSES = 12
#: Matplotlib's colour of text and axes; the page replaces it with its own.
_INK = "#123456"
_COLOURS = ("#4c8dd6", "#e0803a", "#3fa672", "#b36ad1", "#d65a6f", "#8c8c3f")
#: From the colour of the page to blue, so that small shares are not bright on a dark page.
_SHARES = LinearSegmentedColormap.from_list("shares", [(0.16, 0.4, 0.73, 0.05), (0.16, 0.4, 0.73, 1)])
_STYLE: Any = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": cycler(color=_COLOURS),
    "legend.frameon": False,
}


def draw_all(judgement: Judgement) -> list[tuple[str, str]]:
    """Draw the plots that apply; returns the title and the SVG of each."""
    plots: list[tuple[str, Callable[[Judgement, Any], None]]] = [
        ("Confusion matrix", _confusion),
        ("Calibration", _calibration),
        ("Precision and recall", _precision_recall),
    ]
    if len(judgement.class_names) == 2:
        plots += [("Threshold", _threshold)]
        if judgement.metrics.roc_auc is not None:
            plots += [("ROC curve", _roc)]
    return [(title, _svg(partial(draw, judgement))) for title, draw in plots]


def learning_curves(history: Sequence[dict[str, float]]) -> str:
    """Draw the losses of the epochs of a fine-tuning."""

    def draw(axes: Any) -> None:
        epochs = [entry["epoch"] for entry in history]
        axes.plot(epochs, [entry["loss"] for entry in history], marker="o", label="training")
        if "hold_out_loss" in history[0]:
            axes.plot(epochs, [entry["hold_out_loss"] for entry in history], marker="o", label="hold-out")
        axes.set_xlabel("epoch")
        axes.set_ylabel("log loss")
        axes.set_xticks(epochs)
        axes.legend()

    return _svg(draw)


def _svg(draw: Callable[[Any], None]) -> str:
    with matplotlib.rc_context(_STYLE):
        figure, axes = plt.subplots(figsize=(4.4, 3.5), layout="constrained")
        try:
            draw(axes)
            buffer = io.StringIO()
            figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
        finally:
            plt.close(figure)
    svg = buffer.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    return svg.replace(_INK, "currentColor")


def _confusion(judgement: Judgement, axes: Any) -> None:
    matrix = np.array(judgement.metrics.confusion)
    names = judgement.class_names
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap=_SHARES, vmin=0, vmax=1)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    if len(names) > _FEW_CLASSES:
        # Names do not fit: the position in the alphabet is enough to see blocks, the table has the pairs.
        axes.set_title("share of the true class; classes in alphabetical order", fontsize=8)
        return
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
    axes.set_yticks(range(len(names)), names)
    for (row, column), count in np.ndenumerate(matrix):
        color = "white" if shares[row, column] > 0.5 else _INK
        axes.text(column, row, str(count), ha="center", va="center", color=color)


def _calibration(judgement: Judgement, axes: Any) -> None:
    bins = metrics.calibration(judgement.probabilities, judgement.labels)
    confidence, accuracy, counts = zip(*bins, strict=True)
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1, linestyle="--")
    axes.plot(confidence, accuracy, marker="o")
    for x, y, count in zip(confidence, accuracy, counts, strict=True):
        axes.annotate(str(count), (x, y), textcoords="offset points", xytext=(4, -11), fontsize=7)
    axes.set_xlabel("predicted probability")
    axes.set_ylabel("share of correct predictions")


def _precision_recall(judgement: Judgement, axes: Any) -> None:
    names, labels = judgement.class_names, judgement.labels
    present = [label for label in range(len(names)) if (labels == label).any()]
    if len(present) > _FEW_CLASSES:
        # The classes with the worst F1 are those that somebody wants to see.
        present = sorted(present, key=lambda label: judgement.metrics.classes[label].f1 or 0)[:6]
        axes.set_title("the six classes with the lowest F1", fontsize=8)
    for label in present:
        recall, precision = metrics.precision_recall_curve(judgement.probabilities, labels, label)
        axes.step(recall, precision, where="post", label=names[label])
    axes.set_xlabel("recall")
    axes.set_ylabel("precision")
    axes.legend(loc="lower left")


def _threshold(judgement: Judgement, axes: Any) -> None:
    curve = metrics.threshold_curve(judgement.probabilities, judgement.labels, _THRESHOLDS.tolist())
    thresholds, accuracy, precision, recall = zip(*curve, strict=True)
    for values, name in ((accuracy, "accuracy"), (precision, "precision"), (recall, "recall")):
        axes.plot(thresholds, values, label=name)
    axes.axvline(judgement.threshold, color="grey", linewidth=1, linestyle="--")
    axes.set_xlabel(f"threshold for '{judgement.class_names[1]}' (dashed: that of the model)")
    axes.legend()


def _roc(judgement: Judgement, axes: Any) -> None:
    false_positives, true_positives, _ = roc_curve(judgement.labels, judgement.probabilities[:, 1])
    axes.plot(false_positives, true_positives)
    axes.set_xscale("symlog", linthresh=0.01)  # shows the left end, where a good model's curve rises
    axes.set_xlim(0, 1)
    axes.set_xlabel("false positive rate")
    axes.set_ylabel("true positive rate")
