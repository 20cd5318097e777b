"""Trains a classifier: cross-validates the whole procedure, then fits it on everything and keeps what it
learned.
"""

from __future__ import annotations

import datetime
import platform
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imageclassifier_gateway.contract import ModelClass

from . import data, features, heads, metrics, network
from .data import Dataset, Progress
from .learned import Learned, Training
from .network import Architecture, Network


@dataclass(frozen=True)
class Options:
    """How to train. `views` is the number of views of each picture (1: as served only, 2: and mirrored, more:
    and random crops); `folds` of the cross-validation (0: none), done `repeats` times with other splits."""

    architecture: Architecture
    views: int = 2
    balanced: bool = True
    folds: int = 5
    repeats: int = 1
    threshold: float = 0.5
    seed: int = 0


def train(
    dataset: Dataset,
    options: Options,
    *,
    validation: Dataset | None = None,
    messages: Mapping[str, str] | None = None,
    cache: Path,
    weights: Mapping[str, Path] | None = None,
    progress: Progress = lambda *_: None,
) -> Training:
    """Train on a data set; `validation` is a second one that is only measured on.

    `messages` are the sentences to answer by class name. Raises DataError when the data cannot be used so.
    """
    started = time.perf_counter()
    if validation is not None:
        data.check_apart(dataset, validation)
    built = network.build(options.architecture, len(dataset.classes), weights)
    rows = [features.extract(built, dataset.pictures, view, cache, progress) for view in range(options.views)]
    figures: dict[str, Any] = {}
    if options.folds:
        figures["cross_validation"] = _cross_validate(dataset, rows, options, progress)
    head = _fit(dataset, rows, np.arange(len(dataset.pictures)), options)
    learned = Learned(head.kernel, head.bias)
    learned.put_into(built)
    if validation is not None:
        figures["validation"] = _validate(built, validation, head, options, cache, progress)
    return Training(
        architecture=options.architecture,
        classes=tuple(ModelClass(name, (messages or {}).get(name, name)) for name in dataset.classes),
        threshold=options.threshold,
        learned=learned,
        record={
            "options": asdict(options),
            "pictures": dataset.counts(),
            "head_strength": head.strength,
            "seconds": round(time.perf_counter() - started, 1),
            "versions": {
                "python": platform.python_version(),
                **{name: version(name) for name in ("keras", "numpy", "pillow", "scikit-learn")},
            },
        },
        metrics=figures,
        data_digest=dataset.digest,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
    )


def _cross_validate(
    dataset: Dataset, rows: list[NDArray[np.float32]], options: Options, progress: Progress
) -> dict[str, Any]:
    """Figures on pictures that the head was not fitted on; its strength is chosen inside each fold."""
    results = []
    total = options.folds * options.repeats
    for repeat in range(options.repeats):
        probabilities = np.zeros((len(dataset.pictures), len(dataset.classes)))
        splits = data.folds(dataset, options.folds, options.seed + repeat)
        for fold, (inside, outside) in enumerate(splits):
            head = _fit(dataset, rows, inside, options)
            probabilities[outside] = head.probabilities(rows[0][outside])
            progress("Cross-validating", repeat * options.folds + fold + 1, total)
        results.append(metrics.compute(probabilities, dataset.labels, options.threshold))
    return {
        "folds": options.folds,
        "repeats": options.repeats,
        "accuracy": float(np.mean([each.accuracy for each in results])),
        "accuracy_by_repeat": [each.accuracy for each in results],
        "log_loss": float(np.mean([each.log_loss for each in results])),
        "roc_auc": float(np.mean([each.roc_auc for each in results if each.roc_auc is not None])),
        "calibration_error": float(np.mean([each.calibration_error for each in results])),
        "confusion_of_first_repeat": results[0].confusion,
    }


def _fit(
    dataset: Dataset, rows: list[NDArray[np.float32]], inside: NDArray[np.int64], options: Options
) -> heads.Head:
    groups = np.unique([picture.digest for picture in dataset.pictures], return_inverse=True)[1]
    return heads.fit(
        np.concatenate([view[inside] for view in rows]),
        np.tile(dataset.labels[inside], len(rows)),
        np.tile(groups[inside], len(rows)),
        balanced=options.balanced,
        seed=options.seed,
    )


def _validate(
    built: Network,
    validation: Dataset,
    head: heads.Head,
    options: Options,
    cache: Path,
    progress: Progress,
) -> dict[str, Any]:
    served = features.extract(built, validation.pictures, 0, cache, progress)
    found = metrics.compute(head.probabilities(served), validation.labels, options.threshold)
    return {"data_digest": validation.digest, **found.to_dict()}
