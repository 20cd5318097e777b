"""Trains one setting in levels, each more costly than the one before: the halving stops most of them early.

1. The head on a third of the images.
2. The head on all images; this leaves a finished training behind.
3. Fine-tuning for one fold.
4. Fine-tuning for all folds, from the checkpoint of level 3 on; this leaves a finished training behind.

Features are cached, and all settings have the same folds.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..fitting import training_run
from ..fitting.options import FineTuning, Options, Workspace
from ..fitting.trainer import CHECKPOINTS, Trainer
from ..judging import metrics
from ..networks import learned
from ..networks.learned import Training
from ..pictures import splits
from ..pictures.dataset import Dataset
from .space import HEAD_ONLY, Plan, Setting

#: A part of fewer images than this says too little.
_LEAST_FOR_A_PART = 300
_PARTS = 3


@dataclass(frozen=True)
class Level:
    """The figure of a setting after a level, and the training that the level finished."""

    number: int
    value: float
    training: Training | None = None


class Levels:
    """Trains settings on one data set, into folders below `trials`."""

    def __init__(self, dataset: Dataset, plan: Plan, trials: Path, workspace: Workspace) -> None:
        self._dataset = dataset
        self._plan = plan
        self._trials = trials
        self._workspace = workspace
        self._parts: dict[Setting, float] = {}

    def run(self, setting: Setting) -> Iterator[Level]:
        """Train the setting level by level, for as long as the caller asks for the next one."""
        head = self._options(setting.head_only)
        if len(self._dataset.pictures) >= _LEAST_FOR_A_PART:
            # Settings that differ only in their fine-tuning have the same head.
            if setting.head_only not in self._parts:
                self._parts[setting.head_only] = self._part(head)
            yield Level(1, self._parts[setting.head_only])
        training = self._train(head, setting.head_only)
        yield Level(2, self._value(training), None if setting.blocks != HEAD_ONLY else training)
        if setting.blocks == HEAD_ONLY:
            return
        tuned = self._options(setting)
        if not (self._folder(setting) / learned.RECORD_FILE).exists():
            yield Level(3, self._first_fold(tuned, setting))
        training = self._train(tuned, setting)
        yield Level(4, self._value(training), training)

    def discard(self, setting: Setting) -> None:
        """Delete the checkpoints of a setting that is not trained any further."""
        shutil.rmtree(self._folder(setting) / CHECKPOINTS, ignore_errors=True)

    def _folder(self, setting: Setting) -> Path:
        return self._trials / setting.name

    def _options(self, setting: Setting) -> Options:
        tuning = None
        if setting.blocks != HEAD_ONLY:
            blocks = None if setting.blocks == "all" else int(setting.blocks)
            tuning = FineTuning(blocks, self._plan.epochs, setting.learning_rate)
        return Options(
            setting.architecture,
            views=setting.views,
            balanced=setting.class_weights,
            folds=self._plan.folds,
            seed=self._plan.seed,
            fine_tuning=tuning,
        )

    def _part(self, options: Options) -> float:
        """The figure of a head that is trained and measured on a third of the images."""
        dataset = self._dataset
        _, chosen = next(splits.folds(dataset, _PARTS, self._plan.seed))
        part = dataset.subset(np.sort(chosen))
        predictions = Trainer(part, options, self._workspace).cross_validate()
        return self._raw(predictions.probabilities[0], predictions.labels)

    def _first_fold(self, options: Options, setting: Setting) -> float:
        workspace = replace(self._workspace, out=self._folder(setting))
        held_out, probabilities = Trainer(self._dataset, options, workspace).first_fold()
        return self._raw(probabilities, self._dataset.labels[held_out])

    def _train(self, options: Options, setting: Setting) -> Training:
        folder = self._folder(setting)
        if (folder / learned.RECORD_FILE).exists():
            return learned.load(folder)
        return training_run.train(self._dataset, options, replace(self._workspace, out=folder))

    def _value(self, training: Training) -> float:
        figures = training.metrics["cross_validation"]
        return float(figures["log_loss"] if self._plan.metric == "log_loss" else 1 - figures["accuracy"])

    def _raw(self, probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
        found = metrics.compute(probabilities, labels)
        return found.log_loss if self._plan.metric == "log_loss" else 1 - found.accuracy
