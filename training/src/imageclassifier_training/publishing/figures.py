"""The figures of a training for its model card, with intervals, from its out-of-fold predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..comparing.crowning import NESTED
from ..comparing.leaderboard import Estimate
from ..fitting import cross_validation_results
from ..fitting.cross_validation_results import Kept
from ..judging import metrics
from ..judging.judgement import ranked_confusions
from ..judging.metrics import wilson_interval
from ..judging.operating_point import cross_fitted
from ..judging.threshold_rule import ThresholdRule
from ..networks.learned import Training

Interval = tuple[float, float]
#: How the choice of the champion was measured, by whether its trainings were fitted again.
_CHOICES = {
    False: "choice of the champion, each fold judged by the choice on the other folds",
    True: "choice of the champion, full nested cross-validation",
}


@dataclass(frozen=True)
class Measured:
    """Figures of the whole model, how they were measured, and on how many images; None is unknown."""

    how: str
    images: int | None
    accuracy: float
    accuracy_interval: Interval | None
    log_loss: float
    log_loss_interval: Interval | None = None
    roc_auc: float | None = None
    calibration_error: float | None = None


@dataclass(frozen=True)
class Share:
    """A proportion with its 95 % interval."""

    value: float
    interval: Interval


@dataclass(frozen=True)
class ClassFigures:
    """Precision, recall and F1 of one class; None if it was never predicted, or has no images."""

    precision: Share | None
    recall: Share | None
    f1: float | None


@dataclass(frozen=True)
class Figures:
    """All that is known of the quality of a training.

    `classes` has the figures of each class by its name, and `confusions` the (true class, predicted class,
    images) that were confused most often. Both are empty if the training kept no out-of-fold predictions.
    """

    measured: tuple[Measured, ...]
    classes: Mapping[str, ClassFigures]
    confusions: tuple[tuple[str, str, int], ...]


def collect(training: Training, folder: Path) -> Figures:
    """Collect the figures of a training that was read from this folder."""
    rows = []
    kept = _kept(training, folder)
    classes: dict[str, ClassFigures] = {}
    confusions: list[tuple[str, str, int]] = []
    recorded = training.metrics.get("cross_validation")
    if recorded and kept is None:
        rows.append(_recorded(recorded, sum(training.record["pictures"].values())))
    elif recorded and kept is not None:
        row, first = _cross_validated(training, kept)
        rows.append(row)
        names = [each.name for each in training.classes]
        classes = {name: _of_class(first, label) for label, name in enumerate(names)}
        confusions = ranked_confusions(first.confusion, names)
    if (validation := training.metrics.get("validation")) and "accuracy" in validation:
        rows.append(
            Measured(
                "other images (validation)",
                validation["pictures"],
                validation["accuracy"],
                _interval(validation["accuracy_interval"]),
                validation["log_loss"],
                roc_auc=validation["roc_auc"],
                calibration_error=validation["calibration_error"],
            )
        )
    if nested := training.metrics.get(NESTED):
        rows.append(
            Measured(
                _CHOICES[bool(nested.get("refitted"))],
                rows[0].images if rows else None,
                nested["accuracy"],
                _interval(nested["accuracy_interval"]),
                nested["log_loss"],
            )
        )
    return Figures(tuple(rows), classes, tuple(confusions))


def _kept(training: Training, folder: Path) -> Kept | None:
    try:
        return cross_validation_results.kept_by(training, folder)
    except FileNotFoundError:
        return None  # an older training, or one without a cross-validation


def _recorded(recorded: Mapping[str, Any], images: int) -> Measured:
    """The figures that a training recorded; the interval is computed if it recorded none."""
    interval = recorded.get("accuracy_interval") or wilson_interval(recorded["accuracy"] * images, images)
    return Measured(
        _how(recorded["repeats"], recorded["folds"]),
        images,
        recorded["accuracy"],
        _interval(interval),
        recorded["log_loss"],
        roc_auc=recorded.get("roc_auc"),
        calibration_error=recorded.get("calibration_error"),
    )


def _cross_validated(training: Training, kept: Kept) -> tuple[Measured, metrics.Metrics]:
    """The mean of all repeats, and the metrics of the first one, which single classes have."""
    options, predictions = training.record["options"], kept.predictions
    rule = ThresholdRule.recorded(options["threshold"])
    labels = predictions.labels
    judged = cross_fitted(predictions, rule, calibrate=options["calibrate"])
    each = [metrics.compute(values, labels, predicted=predicted) for values, predicted in judged]
    log_loss = Estimate.of(np.mean([metrics.log_losses(values, labels) for values, _ in judged], axis=0))
    hits = float(np.mean([predicted == labels for _, predicted in judged], axis=0).sum())
    areas = [one.roc_auc for one in each if one.roc_auc is not None]
    measured = Measured(
        _how(len(judged), len(np.unique(predictions.folds[0]))),
        len(labels),
        hits / len(labels),
        wilson_interval(hits, len(labels)),
        log_loss.mean,
        log_loss.interval,
        float(np.mean(areas)) if areas else None,
        float(np.mean([one.calibration_error for one in each])),
    )
    return measured, each[0]


def _interval(ends: Sequence[float]) -> Interval:
    low, high = ends
    return low, high


def _how(repeats: int, folds: int) -> str:
    return f"cross-validation, {repeats} x {folds} folds"


def _of_class(found: metrics.Metrics, label: int) -> ClassFigures:
    confusion = np.array(found.confusion)
    hits = int(confusion[label, label])
    return ClassFigures(
        _share(hits, int(confusion[:, label].sum())),
        _share(hits, int(confusion[label].sum())),
        found.classes[label].f1,
    )


def _share(hits: int, total: int) -> Share | None:
    return Share(hits / total, wilson_interval(hits, total)) if total else None
