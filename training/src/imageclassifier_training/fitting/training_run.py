"""Trains a classifier: cross-validates the whole procedure, fits it on all images, and saves the result."""

from __future__ import annotations

import datetime
import platform
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from imageclassifier_gateway.contract import ModelClass

from ..errors import DataError
from ..judging import metrics
from ..networks.learned import Learned, Training
from ..pictures import splits
from ..pictures.dataset import Dataset
from . import features
from .trainer import CHECKPOINTS, Options, Trainer, Workspace

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

    `validation` is a second data set that is only measured on, without its near duplicates of training
    images. `messages` are the sentences that the gateway shows, by class name. A run that was killed
    continues from its caches and checkpoints when it is called
    again with the same arguments. Raises DataError when the data set does not allow these options.
    """
    started = time.perf_counter()
    problems = splits.problems(dataset, options.folds)
    if validation is not None:
        problems += splits.overlap(dataset, validation)
    if problems:
        raise DataError(problems)
    trainer = Trainer(dataset, options, workspace)
    figures: dict[str, Any] = {}
    if options.folds:
        figures["cross_validation"] = trainer.cross_validate()
    learned, details = trainer.fit_all()
    learned.put_into(trainer.network)
    if validation is not None:
        figures["validation"] = _validate(trainer, learned, validation, options, workspace)
    training = Training(
        architecture=options.architecture,
        classes=tuple(ModelClass(name, (messages or {}).get(name, name)) for name in dataset.classes),
        threshold=options.threshold,
        learned=learned,
        record={
            "options": asdict(options),
            "pictures": dataset.counts(),
            **details,
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
    training.save(workspace.out)
    shutil.rmtree(workspace.out / CHECKPOINTS, ignore_errors=True)
    return training


def _validate(
    trainer: Trainer, learned: Learned, validation: Dataset, options: Options, workspace: Workspace
) -> dict[str, Any]:
    apart = splits.without_near_duplicates(trainer.dataset, validation)
    left_out = {"near_duplicates_left_out": len(validation.pictures) - len(apart.pictures)}
    if not apart.pictures:
        return left_out
    rows = features.extract(trainer.network, apart.pictures, 0, workspace.cache, workspace.progress)
    found = metrics.compute(learned.head.probabilities(rows), apart.labels, options.threshold)
    return {"data_digest": validation.digest, **left_out, **found.to_dict()}
