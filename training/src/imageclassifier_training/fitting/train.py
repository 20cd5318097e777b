"""Trains a classifier: cross-validates the whole procedure, then fits it on everything and keeps what it
learned.
"""

from __future__ import annotations

import datetime
import platform
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from imageclassifier_gateway.contract import ModelClass

from ..judging import metrics
from ..networks import network
from ..networks.architecture import Architecture
from ..networks.learned import Delta, Learned, Training
from ..networks.network import Network
from ..pictures import dataset as data
from ..pictures.dataset import Dataset, Progress
from . import activations, features
from . import linear_head as heads
from .fine_tuning import FineTuning, Tuner

_CHECKPOINTS = "checkpoints"
_KEPT_ASIDE_FOLDS = 10


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
    fine_tuning: FineTuning | None = None


def train(
    dataset: Dataset,
    options: Options,
    *,
    out: Path,
    cache: Path,
    validation: Dataset | None = None,
    messages: Mapping[str, str] | None = None,
    weights: Mapping[str, Path] | None = None,
    progress: Progress = lambda *_: None,
) -> Training:
    """Train on a data set and keep the result in `out`; `validation` is a second data set, only measured on.

    `messages` are the sentences to answer by class name. Killed and called again with the same arguments, it
    goes on from what `cache` and `out` hold. Raises DataError when the data cannot be used so.
    """
    started = time.perf_counter()
    if validation is not None:
        data.check_apart(dataset, validation)
    trainer = _Trainer(dataset, options, out, cache, weights or {}, progress)
    figures: dict[str, Any] = {}
    if options.folds:
        figures["cross_validation"] = trainer.cross_validate()
    learned, details = trainer.final()
    learned.put_into(trainer.network)
    if validation is not None:
        figures["validation"] = _validate(trainer.network, validation, learned, options, cache, progress)
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
    training.save(out)
    shutil.rmtree(out / _CHECKPOINTS, ignore_errors=True)
    return training


class _Trainer:
    """One data set and one set of options; fits on any part of the pictures."""

    def __init__(
        self,
        dataset: Dataset,
        options: Options,
        out: Path,
        cache: Path,
        weights: Mapping[str, Path],
        progress: Progress,
    ) -> None:
        self._dataset = dataset
        self._options = options
        self._out = out
        self._progress = progress
        self.network = network.build(options.architecture, len(dataset.classes), weights)
        self._rows = [
            features.extract(self.network, dataset.pictures, view, cache, progress)
            for view in range(options.views)
        ]
        if options.fine_tuning is not None:
            # Repeats the sums of parallel kernels in the same order, so that a seed gives the same weights
            # again.
            tf.config.experimental.enable_op_determinism()
            keras.utils.set_random_seed(options.seed)
            kept, self._tuned = activations.cut(self.network, options.fine_tuning.blocks)
            self._activations = activations.compute(
                self.network, kept, dataset, options.views, cache, progress
            )

    def cross_validate(self) -> dict[str, Any]:
        """Figures on pictures that had no part in the fit: neither in weights nor in any choice."""
        dataset, options = self._dataset, self._options
        results = []
        for repeat in range(options.repeats):
            probabilities = np.zeros((len(dataset.pictures), len(dataset.classes)))
            splits = data.folds(dataset, options.folds, options.seed + repeat)
            for fold, (inside, outside) in enumerate(splits):
                if options.fine_tuning is None:
                    probabilities[outside] = self._head(inside).head.probabilities(self._rows[0][outside])
                else:
                    tuner, _ = self._tune(inside, f"repeat{repeat}-fold{fold}")
                    probabilities[outside] = tuner.probabilities(self._activations, outside)
                done = repeat * options.folds + fold + 1
                self._progress("Cross-validating", done, options.folds * options.repeats)
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

    def final(self) -> tuple[Learned, dict[str, Any]]:
        """Fit on all pictures; gives what was learned, and what to record about it."""
        everything = np.arange(len(self._dataset.pictures))
        if self._options.fine_tuning is None:
            fitted = self._head(everything)
            return Learned(fitted.head), {"head_strength": fitted.strength}
        tuner, history = self._tune(everything, "final")
        return Learned(tuner.head, self._deltas(tuner)), {"history": history}

    def _head(self, inside: NDArray[np.int64]) -> heads.FittedHead:
        groups = np.unique([picture.digest for picture in self._dataset.pictures], return_inverse=True)[1]
        return heads.fit(
            np.concatenate([view[inside] for view in self._rows]),
            np.tile(self._dataset.labels[inside], len(self._rows)),
            np.tile(groups[inside], len(self._rows)),
            balanced=self._options.balanced,
            seed=self._options.seed,
        )

    def _tune(self, inside: NDArray[np.int64], name: str) -> tuple[Tuner, list[dict[str, float]]]:
        options = self._options.fine_tuning
        assert options is not None
        aside = inside[:0]
        if options.patience:
            parts = data.subset(self._dataset, inside)
            # A tenth, or in a class of fewer than ten pictures the least that a fold can be.
            folds = max(2, min(_KEPT_ASIDE_FOLDS, *parts.counts().values()))
            rest, kept_aside = next(data.folds(parts, folds, self._options.seed))
            inside, aside = inside[rest], inside[kept_aside]
        tuner = Tuner(self._tuned, self._head(inside).head, options, self._options.seed)
        counts = np.bincount(self._dataset.labels[inside], minlength=len(self._dataset.classes))
        class_weights = (
            len(inside) / (len(counts) * counts) if self._options.balanced else np.ones(len(counts))
        )
        history = tuner.fit(
            self._activations,
            self._dataset.labels,
            inside,
            aside,
            class_weights.astype(np.float32),
            self._out / _CHECKPOINTS / f"{name}.npz",
            self._out / "logs" / name,
            self._progress,
        )
        return tuner, history

    def _deltas(self, tuner: Tuner) -> dict[str, Delta]:
        deltas = {}
        for layer in tuner.blocks.layers:
            old = self.network.branches[0].get_layer(layer.name).get_weights() if layer.weights else []
            for index, (before, after) in enumerate(zip(old, layer.get_weights(), strict=True)):
                deltas[f"0/{layer.name}/{index}"] = Delta.between(before, after)
        return deltas


def _validate(
    built: Network,
    validation: Dataset,
    learned: Learned,
    options: Options,
    cache: Path,
    progress: Progress,
) -> dict[str, Any]:
    served = features.extract(built, validation.pictures, 0, cache, progress)
    found = metrics.compute(learned.head.probabilities(served), validation.labels, options.threshold)
    return {"data_digest": validation.digest, **found.to_dict()}
