"""Metrics of a classifier: accuracy, log loss, ROC AUC, calibration, confusion matrix, threshold curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.metrics import precision_recall_curve as _precision_recall_curve

_CALIBRATION_BINS = 10
#: A probability of 0 for the right class would make the loss infinite.
_SMALLEST_PROBABILITY = 1e-15


@dataclass(frozen=True)
class ClassMetrics:
    """Precision, recall and F1 of one class; None where it was never predicted, or has no images."""

    pictures: int
    precision: float | None
    recall: float | None
    f1: float | None

    def to_dict(self) -> dict[str, Any]:
        """The metrics as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Metrics:
    """All metrics of a model on labelled images.

    Accuracy has a 95 % interval, and log loss is in nats. The calibration error is the expected calibration
    error (Naeini, Cooper and Hauskrecht, AAAI 2015) of 10 bins. With three or more classes, ROC AUC is the
    mean of one class against the rest. `classes` has the metrics of each class, and `macro_f1` is the mean F1
    of the classes with images. `top_5` is the share of images whose class is among the five most probable
    ones (None with five or fewer classes). In the confusion matrix, rows are true classes and columns are
    predicted classes.
    """

    pictures: int
    accuracy: float
    accuracy_interval: tuple[float, float]
    log_loss: float
    roc_auc: float | None
    calibration_error: float
    macro_f1: float
    top_5: float | None
    classes: tuple[ClassMetrics, ...]
    confusion: list[list[int]]

    def to_dict(self) -> dict[str, Any]:
        """The metrics as JSON values."""
        return asdict(self)


def predicted_classes(probabilities: NDArray[np.float64], threshold: float) -> NDArray[np.int64]:
    """The predicted class of each row: by the threshold for two classes, else the most probable class."""
    if probabilities.shape[1] == 2:
        return np.asarray(probabilities[:, 1] >= threshold, dtype=np.int64)
    return np.asarray(probabilities.argmax(axis=1), dtype=np.int64)


def compute(
    probabilities: NDArray[np.float64],
    labels: NDArray[np.int64],
    threshold: float = 0.5,
    predicted: NDArray[np.int64] | None = None,
) -> Metrics:
    """Compute all metrics from probabilities `(n, classes)` and true classes `(n,)`.

    `predicted` are the predicted classes, if they were not made with one threshold.
    """
    count = probabilities.shape[1]
    if predicted is None:
        predicted = predicted_classes(probabilities, threshold)
    correct = int((predicted == labels).sum())
    confusion = np.zeros((count, count), dtype=int)
    np.add.at(confusion, (labels, predicted), 1)
    classes = tuple(_of_class(confusion, index) for index in range(count))
    return Metrics(
        pictures=len(labels),
        accuracy=correct / len(labels),
        accuracy_interval=wilson_interval(correct, len(labels)),
        log_loss=_log_loss(probabilities, labels),
        roc_auc=_roc_auc(probabilities, labels),
        calibration_error=_calibration_error(probabilities, labels),
        macro_f1=float(np.mean([each.f1 or 0.0 for each in classes if each.pictures])),
        top_5=_top(probabilities, labels, 5) if count > 5 else None,
        classes=classes,
        confusion=confusion.tolist(),
    )


def log_losses(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """What each image adds to the log loss (nats), `(n,)`."""
    own = probabilities[np.arange(len(labels)), labels]
    return np.asarray(-np.log(np.maximum(own, _SMALLEST_PROBABILITY)))


def wilson_interval(correct: float, total: int) -> tuple[float, float]:
    """The 95 % Wilson score interval of a proportion (Wilson, JASA 22, 1927)."""
    z = 1.959964
    share, spread = correct / total, z * z / total
    centre = (share + spread / 2) / (1 + spread)
    half = z * np.sqrt(share * (1 - share) / total + spread / (4 * total)) / (1 + spread)
    return float(centre - half), float(centre + half)


def calibration(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64]
) -> list[tuple[float, float, int]]:
    """The points of a calibration plot: (mean confidence, accuracy, images) of each bin with images.

    The confidence is the probability of the most probable class. The bins are ten equal parts of 0 to 1.
    """
    confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    tenth = np.minimum((confidence * _CALIBRATION_BINS).astype(int), _CALIBRATION_BINS - 1)
    return [
        (float(confidence[inside].mean()), float(correct[inside].mean()), int(inside.sum()))
        for inside in (tenth == i for i in range(_CALIBRATION_BINS))
        if inside.any()
    ]


def threshold_curve(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64], thresholds: Sequence[float]
) -> list[tuple[float, float, float, float]]:
    """(threshold, accuracy, precision, recall) of the second of two classes.

    The precision is 1 where the class is never predicted.
    """
    curve = []
    for threshold in thresholds:
        positive = probabilities[:, 1] >= threshold
        hits = int((positive & (labels == 1)).sum())
        precision = hits / int(positive.sum()) if positive.any() else 1.0
        recall = hits / max(1, int((labels == 1).sum()))
        curve.append((float(threshold), float((positive == (labels == 1)).mean()), precision, recall))
    return curve


def precision_recall_curve(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64], label: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The recalls and precisions of one class against the rest, for all thresholds."""
    precision, recall, _ = _precision_recall_curve(labels == label, probabilities[:, label])
    return recall, precision


def _of_class(confusion: NDArray[np.int64], label: int) -> ClassMetrics:
    hits = int(confusion[label, label])
    pictures, predicted = int(confusion[label].sum()), int(confusion[:, label].sum())
    return ClassMetrics(
        pictures=pictures,
        precision=hits / predicted if predicted else None,
        recall=hits / pictures if pictures else None,
        f1=2 * hits / (pictures + predicted) if pictures else None,
    )


def _top(probabilities: NDArray[np.float64], labels: NDArray[np.int64], count: int) -> float:
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :count]
    return float((best == labels[:, None]).any(axis=1).mean())


def _log_loss(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    # The float32 probabilities of a model sum to almost one; scikit-learn warns about that.
    normalised = probabilities / probabilities.sum(axis=1, keepdims=True)
    return float(log_loss(labels, normalised, labels=np.arange(probabilities.shape[1])))


def _roc_auc(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> float | None:
    if len(np.unique(labels)) < probabilities.shape[1]:
        return None  # undefined without an image of each class
    if probabilities.shape[1] == 2:
        return float(roc_auc_score(labels, probabilities[:, 1]))
    return float(roc_auc_score(labels, probabilities, multi_class="ovr"))


def _calibration_error(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    bins = calibration(probabilities, labels)
    return sum(abs(confidence - accuracy) * count for confidence, accuracy, count in bins) / len(labels)
