"""The HTML report of an evaluation: one file with its plots and pictures inside, readable without any
network.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import Any

import matplotlib
import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from sklearn.metrics import roc_curve

from imageclassifier_gateway.contract import ModelInput
from imageclassifier_gateway.images import decode, fit

from . import metrics
from .evaluate import Evaluation, Mistake, worst

matplotlib.use("Agg")
import matplotlib.pyplot as plt

_THUMBNAIL = ModelInput(height=180, width=180, fit="pad", resize="lanczos")
_THRESHOLDS = np.linspace(0.02, 0.98, 49)


def render(evaluation: Evaluation) -> str:
    """Render the report as one HTML document."""
    environment = Environment(
        loader=PackageLoader(__package__ or "", "templates"), autoescape=True, undefined=StrictUndefined
    )
    contract = evaluation.model.contract
    return environment.get_template("report.html.j2").render(
        contract=contract,
        dataset=evaluation.dataset,
        counts=evaluation.dataset.counts(),
        metrics=evaluation.metrics,
        seen=evaluation.seen,
        speed=evaluation.pictures_per_second,
        plots=[(title, _plot(draw, evaluation)) for title, draw in _plots(evaluation)],
        mistakes=[(mistake, _thumbnail(mistake)) for mistake in worst(evaluation.mistakes)],
        total_mistakes=len(evaluation.mistakes),
    )


def _plots(evaluation: Evaluation) -> list[tuple[str, Callable[[Any, Evaluation], None]]]:
    plots: list[tuple[str, Callable[[Any, Evaluation], None]]] = [
        ("Confusion", _confusion),
        ("Calibration", _calibration),
    ]
    if len(evaluation.model.contract.classes) == 2:
        plots += [("Threshold", _threshold)]
        if evaluation.metrics.roc_auc is not None:
            plots += [("ROC", _roc)]
    return plots


def _plot(draw: Callable[[Any, Evaluation], None], evaluation: Evaluation) -> str:
    figure, axes = plt.subplots(figsize=(4.2, 3.6), layout="constrained")
    try:
        draw(axes, evaluation)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    finally:
        plt.close(figure)
    return _data_url("image/svg+xml", buffer.getvalue())


def _confusion(axes: Any, evaluation: Evaluation) -> None:
    matrix = np.array(evaluation.metrics.confusion)
    names = evaluation.model.contract.class_names
    axes.imshow(matrix, cmap="Blues")
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("answered")
    axes.set_ylabel("true")
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
    axes.set_xlabel("probability of the answer")
    axes.set_ylabel("share that is right")


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
    axes.set_xscale("symlog", linthresh=0.01)  # the interesting part of a good model's curve is at its left
    axes.set_xlim(0, 1)
    axes.set_xlabel("false positives (of all negatives)")
    axes.set_ylabel("true positives (of all positives)")


def _labels(evaluation: Evaluation) -> Any:
    names = evaluation.model.contract.class_names
    return np.array([names.index(name) for name in evaluation.dataset.classes])[evaluation.dataset.labels]


def _thumbnail(mistake: Mistake) -> str:
    buffer = io.BytesIO()
    picture = fit(decode(mistake.path.read_bytes(), _THUMBNAIL), _THUMBNAIL)
    picture.save(buffer, "JPEG", quality=80)
    return _data_url("image/jpeg", buffer.getvalue())


def _data_url(media_type: str, content: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"
