"""What a cross-validation leaves behind: its figures, and the prediction of each image as a CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import TrainingError
from ..files import write_atomically
from ..judging import metrics
from ..judging.judgement import Judgement
from ..judging.metrics import Metrics
from ..judging.operating_point import OperatingPoint, OutOfFold, cross_fitted, with_temperature
from ..judging.plots import learning_curves
from ..judging.report import Page, render
from ..networks.learned import Training
from ..pictures.dataset import Dataset
from ..words import counted
from .options import Options

OUT_OF_FOLD_FILE = "out_of_fold.csv"
#: Older files have six decimals. A zero in them stands for anything below half of the last decimal.
_ROUNDED_TO_ZERO = 5e-7


@dataclass(frozen=True)
class Kept:
    """Predictions that `write` kept: the path and the sha256 of each image, in the order of the digests."""

    paths: tuple[str, ...]
    digests: tuple[str, ...]
    predictions: OutOfFold


def figures(predictions: OutOfFold, options: Options) -> dict[str, Any]:
    """The figures of the whole procedure, calibration and choice of the threshold included.

    Each is the mean of the repeats; those of single classes and the confusion matrix are of the first.
    """
    results = [
        metrics.compute(probabilities, predictions.labels, predicted=predicted)
        for probabilities, predicted in cross_fitted(
            predictions, options.threshold, calibrate=options.calibrate
        )
    ]
    raw = [
        metrics.compute(each, predictions.labels, options.threshold.value)
        for each in predictions.probabilities
    ]
    first = results[0]
    return {
        "folds": len(np.unique(predictions.folds[0])),
        "repeats": len(results),
        "accuracy": _mean(results, "accuracy"),
        "accuracy_by_repeat": [each.accuracy for each in results],
        "accuracy_interval": list(first.accuracy_interval),
        "log_loss": _mean(results, "log_loss"),
        "roc_auc": _mean([each for each in results if each.roc_auc is not None], "roc_auc"),
        "calibration_error": _mean(results, "calibration_error"),
        "before_calibration": {
            "log_loss": _mean(raw, "log_loss"),
            "calibration_error": _mean(raw, "calibration_error"),
        },
        "macro_f1": _mean(results, "macro_f1"),
        "classes": [each.to_dict() for each in first.classes],
        "confusion_of_first_repeat": first.confusion,
    }


def write(path: Path, dataset: Dataset, predictions: OutOfFold, point: OperatingPoint) -> None:
    """Write a line for each image and repeat: its class, its prediction and its calibrated probabilities."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    names = dataset.classes
    table.writerow(
        ["path", "sha256", "class", "repeat", "fold", "predicted", *(f"p({name})" for name in names)]
    )
    for repeat, raw in enumerate(predictions.probabilities):
        probabilities, predicted = point.apply(raw)
        rows: NDArray[np.float64]
        for picture, fold, chosen, rows in zip(
            dataset.pictures, predictions.folds[repeat], predicted, probabilities, strict=True
        ):
            table.writerow(
                [
                    str(picture.path),
                    picture.digest,
                    names[picture.label],
                    repeat,
                    int(fold),
                    names[chosen],
                    *(f"{value:.9g}" for value in rows),
                ]
            )
    write_atomically(path, text.getvalue().encode("utf-8", "surrogateescape"))


def read(path: Path, names: Sequence[str], temperature: float) -> Kept:
    """Read what `write` wrote; the probabilities are those before the calibration with this temperature.

    `names` are the classes. Raises FileNotFoundError, or TrainingError when lines are missing.
    """
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        raise TrainingError(f"{path.name} is empty. Train again.")
    repeats = 1 + max(int(row["repeat"]) for row in rows)
    rows.sort(key=lambda row: (int(row["repeat"]), row["sha256"], row["class"], int(row["fold"])))
    count = len(rows) // repeats
    if count * repeats != len(rows):
        raise TrainingError(f"{path.name} is incomplete: it has {counted(len(rows), 'line')}. Train again.")
    calibrated = np.array([[float(row[f"p({name})"]) for name in names] for row in rows])
    calibrated[calibrated == 0] = _ROUNDED_TO_ZERO
    # The file has the temperature that was chosen on all images; comparisons choose it on the other folds.
    raw = with_temperature(calibrated, 1 / temperature)
    folds = np.array([int(row["fold"]) for row in rows]).reshape(repeats, count)
    labels = np.array([names.index(row["class"]) for row in rows[:count]])
    return Kept(
        tuple(row["path"] for row in rows[:count]),
        tuple(row["sha256"] for row in rows[:count]),
        OutOfFold(raw.reshape(repeats, count, len(names)), folds, labels),
    )


def kept_by(training: Training, folder: Path) -> Kept:
    """The predictions in the folder of a training. Raises the errors of `read`."""
    names = [each.name for each in training.classes]
    # Trainings of releases without calibration recorded no temperature, and kept no predictions.
    return read(folder / OUT_OF_FOLD_FILE, names, training.record.get("temperature", 1.0))


def report(training: Training, dataset: Dataset, predictions: OutOfFold, options: Options) -> str:
    """Render the report of the first repeat as HTML."""
    probabilities, predicted = cross_fitted(predictions, options.threshold, calibrate=options.calibrate)[0]
    names = dataset.classes
    judgement = Judgement(
        names, training.threshold, dataset.pictures, dataset.labels, probabilities, predicted
    )
    found = training.metrics["cross_validation"]
    record = training.record
    counts = ", ".join(f"{count} {name}" for name, count in dataset.counts().items())
    tiles = [(f"{record['temperature']:.3f}", "temperature of the calibration; 1 changes nothing")]
    if len(names) == 2:
        rule = record["threshold_rule"]
        how = "given" if rule == "fixed" else f"chosen by {rule}"
        tiles.append((f"{training.threshold:.3f}", f"threshold for '{names[1]}', {how}"))
    curves = [("Learning curve", learning_curves(record["history"]))] if record.get("history") else []
    page = Page(
        title=str(options.architecture),
        subject="Cross-validation",
        intro=(
            f"{counted(len(dataset.pictures), 'image')}: {counts}.",
            f"Each image was classified by a model that was not trained on it, nor on a near duplicate of it "
            f"({found['repeats']} x {found['folds']} folds; the first repeat is shown). Calibration and "
            "threshold were chosen on the other folds.",
            *record["notes"],
        ),
        tiles=tuple(tiles),
        plots=tuple(curves),
    )
    return render(page, judgement)


def _mean(results: list[Metrics], name: str) -> float | None:
    return float(np.mean([getattr(each, name) for each in results])) if results else None
