"""Measures the choice of the champion by full nested cross-validation: the trainings are fitted again.

For each fold, each training is cross-validated again on the images of the other folds. The rule chooses by
these predictions, and the chosen training, fitted on the other folds, is measured on this fold. Neither the
choice, nor temperature and threshold, nor the networks behind them have seen an image of the fold.

A network that is fitted without the folds i and j predicts j for the choice that i judges, and i for the
choice that j judges. So K folds take K (K - 1) / 2 fits of each training.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ..errors import TrainingError
from ..files import shown
from ..fitting import cross_validation_results
from ..fitting.cross_validation_results import Kept
from ..fitting.options import Options, Workspace
from ..fitting.trainer import Trainer
from ..judging.metrics import log_losses
from ..judging.operating_point import OutOfFold, choose, cross_fitted
from ..networks import learned
from ..pictures.dataset import Dataset
from .champion import Nested, cheapest, not_worse
from .costs import Cost
from .runs import Run

#: Below the folder of the trainings, the checkpoints of trainings that are fitted again.
FOLDER = "nested"
_LEAST_FOLDS = 3


@dataclass(frozen=True)
class Images:
    """The fold and the label of each image, both `(n,)`."""

    folds: NDArray[np.int64]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class Refitted:
    """A training that was fitted again, without two folds at a time.

    `probabilities` are `(folds, n, classes)`, before calibration. Those of fold i are predicted by networks
    that saw neither fold i nor the fold of the image.
    """

    name: str
    options: Options
    probabilities: NDArray[np.float64]


def measure(
    runs: Sequence[Run], dataset: Dataset, workspace: Workspace, metric: str, costs: Mapping[str, Cost]
) -> Nested:
    """Fit the trainings again, and measure the choice among them.

    `dataset` has their images, and `workspace.out` is a folder for checkpoints, which is removed at the end.
    A call that was killed continues from them. Raises TrainingError if the trainings have other images, or
    folds that are not the same or too few.
    """
    folds = _common_folds(runs, dataset)
    refitted = []
    workspace.progress("Fit the trainings again", 0, len(runs))
    for done, run in enumerate(runs, start=1):
        refitted.append(_refit(run, dataset, folds, workspace))
        workspace.progress("Fit the trainings again", done, len(runs))
    shutil.rmtree(workspace.out, ignore_errors=True)
    return judge(refitted, Images(folds, dataset.labels), metric, costs)


def judge(refitted: Sequence[Refitted], images: Images, metric: str, costs: Mapping[str, Cost]) -> Nested:
    """Choose for each fold by the predictions without it, and measure what was chosen."""
    folds, labels = images.folds, images.labels
    order = [costs[each.name] for each in refitted]
    losses, correct = np.empty(len(labels)), np.empty(len(labels))
    chosen = []
    for fold in np.unique(folds):
        inside = folds == fold
        measured = np.stack([_penalties(each, fold, images, metric) for each in refitted])
        winner = refitted[cheapest(not_worse(measured)[1], measured, order)]
        point = choose(
            winner.probabilities[fold][~inside],
            labels[~inside],
            winner.options.threshold,
            calibrate=winner.options.calibrate,
        )
        probabilities, predicted = point.apply(winner.probabilities[fold][inside])
        losses[inside] = log_losses(probabilities, labels[inside])
        correct[inside] = predicted == labels[inside]
        chosen.append(winner.name)
    return Nested.of(losses, correct, chosen, refitted=True)


def _penalties(each: Refitted, fold: int, images: Images, metric: str) -> NDArray[np.float64]:
    """What each image outside of the fold adds to the metric."""
    others = images.folds != fold
    labels = images.labels[others]
    inner = OutOfFold(each.probabilities[fold][others][None], images.folds[others][None], labels)
    ((probabilities, predicted),) = cross_fitted(
        inner, each.options.threshold, calibrate=each.options.calibrate
    )
    return log_losses(probabilities, labels) if metric == "log_loss" else (predicted != labels).astype(float)


def _common_folds(runs: Sequence[Run], dataset: Dataset) -> NDArray[np.int64]:
    """The fold of each image of the data set, the same for all trainings."""
    first = runs[0]
    if dataset.digest != first.data_digest:
        raise TrainingError(
            f"The images are not those of {first.name}. Give the same images, with the same --exclude."
        )
    for run in runs:
        if not np.array_equal(run.folds, first.folds):
            raise TrainingError(
                f"{first.name} and {run.name} were cross-validated on different folds. Use the same --folds "
                "and --seed."
            )
    folds = np.empty_like(first.folds)
    folds[_order(dataset)] = first.folds
    if folds.max() + 1 < _LEAST_FOLDS:
        raise TrainingError(
            f"Full nested cross-validation needs trainings with at least {_LEAST_FOLDS} folds, and these "
            f"have {folds.max() + 1}. Train with --folds {_LEAST_FOLDS} or more."
        )
    return folds


def _order(dataset: Dataset) -> NDArray[np.int64]:
    """The images of a data set in the order in which predictions are read: by digest, then by class."""
    keys = [(each.digest, dataset.classes[each.label]) for each in dataset.pictures]
    return np.array(sorted(range(len(keys)), key=keys.__getitem__))


def _refit(run: Run, dataset: Dataset, folds: NDArray[np.int64], workspace: Workspace) -> Refitted:
    training = learned.load(run.folder)
    options = Options.recorded(training.architecture, training.record["options"])
    trainer = Trainer(dataset, options, replace(workspace, out=workspace.out / _folder_name(run)))
    if trainer.backbone_weights != training.record["backbone_weights"]:
        raise TrainingError(
            f"The backbone weights are not those with which {shown(run.folder)} was trained. Give the same "
            "files with --weights."
        )
    count = int(folds.max()) + 1
    kept = cross_validation_results.kept_by(training, run.folder)
    probabilities = np.repeat(_recorded(kept, dataset)[None], count, axis=0)
    for i, j in combinations(range(count), 2):
        held_out = np.flatnonzero((folds == i) | (folds == j))
        rows = trainer.predict(np.flatnonzero((folds != i) & (folds != j)), held_out, f"without-{i}-and-{j}")
        in_i = folds[held_out] == i
        probabilities[j][held_out[in_i]] = rows[in_i]
        probabilities[i][held_out[~in_i]] = rows[~in_i]
    return Refitted(run.name, options, probabilities)


def _folder_name(run: Run) -> str:
    """A name for the checkpoints of a training; folders of different searches can have the same name."""
    return hashlib.sha256(os.fsencode(run.folder.resolve())).hexdigest()[:16]


def _recorded(kept: Kept, dataset: Dataset) -> NDArray[np.float64]:
    """The predictions of the first repeat in the order of the data set: for each image, without its fold."""
    predicted = kept.predictions.probabilities[0]
    rows = np.empty(predicted.shape)
    rows[_order(dataset)] = predicted
    return rows
