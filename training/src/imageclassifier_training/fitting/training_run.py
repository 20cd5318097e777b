"""Trains a classifier: cross-validates the whole procedure, fits it on all images, and saves the result."""

from __future__ import annotations

import platform
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from importlib.metadata import version
from typing import Any

import tensorflow as tf

from imageclassifier_gateway.contract import ModelClass

from ..errors import DataError
from ..files import write_atomically
from ..judging import metrics
from ..judging.operating_point import OperatingPoint, choose
from ..networks.learned import Training, fingerprints, now
from ..pictures import splits
from ..pictures.dataset import Dataset
from . import cross_validation_results, features
from .cross_validation_results import OUT_OF_FOLD_FILE
from .options import Options, Workspace
from .trainer import CHECKPOINTS, Trainer

__all__ = ["Options", "Workspace", "train"]


def train(
    dataset: Dataset,
    options: Options,
    workspace: Workspace,
    *,
    validation: Dataset | None = None,
    messages: Mapping[str, str] | None = None,
) -> Training:
    """Train on a data set and save the result in `workspace.out`.

    The trained model is also measured on `validation`, without its near duplicates of training images.
    `messages` are the sentences that the gateway shows, by class name. A run that was killed continues from
    its caches and checkpoints when it is called again with the same arguments. Raises DataError when the data
    set does not allow these options.
    """
    started = time.perf_counter()
    problems = splits.problems(dataset, options.folds)
    if validation is not None:
        problems += splits.overlap(dataset, validation)
    if problems:
        raise DataError(problems)
    trainer = Trainer(dataset, options, workspace)
    figures: dict[str, Any] = {}
    point = OperatingPoint(threshold=options.threshold.value)
    predictions = None
    if options.folds:
        predictions = trainer.cross_validate()
        figures["cross_validation"] = cross_validation_results.figures(predictions, options)
        point = choose(*predictions.pooled(), options.threshold, calibrate=options.calibrate)
        cross_validation_results.write(workspace.out / OUT_OF_FOLD_FILE, dataset, predictions, point)
    learned, details = trainer.fit_all()
    learned = replace(learned, head=learned.head.with_temperature(point.temperature))
    # Before the network changes, whose weights identify the checkpoints of fine-tuning.
    distance = trainer.measure_distance() if options.folds else None
    learned.put_into(trainer.network)
    if validation is not None:
        figures["validation"] = _validate(trainer, point.threshold, validation, workspace)
    training = Training(
        architecture=options.architecture,
        classes=tuple(ModelClass(name, (messages or {}).get(name, name)) for name in dataset.classes),
        threshold=point.threshold,
        learned=learned,
        record={
            "options": asdict(options),
            "pictures": dataset.counts(),
            "backbone_weights": trainer.backbone_weights,
            "temperature": point.temperature,
            "threshold_rule": str(options.threshold),
            "notes": [point.note] if point.note else [],
            **details,
            "seconds": round(time.perf_counter() - started, 1),
            "versions": {
                "python": platform.python_version(),
                "tensorflow": tf.__version__,
                **{name: version(name) for name in ("keras", "numpy", "pillow", "scikit-learn")},
            },
        },
        metrics=figures,
        data_digest=dataset.digest,
        created=now(),
        trained_on=fingerprints(picture.digest for picture in dataset.pictures),
        familiarity=distance,
    )
    training.save(workspace.out)
    if workspace.report is not None and predictions is not None:
        html = cross_validation_results.report(training, dataset, predictions, options)
        write_atomically(workspace.report, html.encode())
    shutil.rmtree(workspace.out / CHECKPOINTS, ignore_errors=True)
    return training


def _validate(
    trainer: Trainer, threshold: float, validation: Dataset, workspace: Workspace
) -> dict[str, Any]:
    apart = splits.without_near_duplicates(trainer.dataset, validation)
    left_out = {"near_duplicates_left_out": len(validation.pictures) - len(apart.pictures)}
    if not apart.pictures:
        return left_out
    network = trainer.network
    rows = features.extract(network, apart.pictures, 0, workspace.cache, workspace.progress)
    found = metrics.compute(network.head.probabilities(rows), apart.labels, threshold)
    return {"data_digest": validation.digest, **left_out, **found.to_dict()}
