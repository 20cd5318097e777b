"""Fits one network to any part of one data set, and cross-validates that procedure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from ..judging.operating_point import OutOfFold
from ..networks import network as networks
from ..networks.learned import Delta, Learned, MeasuredDistance
from ..pictures import splits
from ..pictures.dataset import Dataset
from . import activations, familiarity, features, linear_head
from .checkpoints import FINAL, fold_name
from .fine_tuning import Examples, Tuner
from .options import Options, Workspace

CHECKPOINTS = "checkpoints"


@dataclass(frozen=True)
class _Tuned:
    """A tuner with the weights that are saved, the losses of its epochs, and its changes."""

    tuner: Tuner
    history: list[dict[str, float]]
    deltas: dict[str, Delta]


class Trainer:
    """One data set and one set of options; fits on any part of the images."""

    def __init__(self, dataset: Dataset, options: Options, workspace: Workspace) -> None:
        self.dataset = dataset
        self._options = options
        self._workspace = workspace
        self.network = networks.build(options.architecture, len(dataset.classes), workspace.weights)
        self.backbone_weights = self.network.weights_digest()
        self._features = [
            features.extract(self.network, dataset.pictures, view, workspace.cache, workspace.progress)
            for view in range(options.views)
        ]
        if options.fine_tuning is not None:
            # Makes parallel kernels add in a fixed order, so that the same seed gives the same weights.
            tf.config.experimental.enable_op_determinism()
            keras.utils.set_random_seed(options.seed)
            frozen, self._fine_tuned = activations.cut(self.network, options.fine_tuning.blocks)
            self._activations = activations.compute(
                activations.FrozenPart(self.network, frozen),
                dataset,
                options.views,
                workspace.cache,
                workspace.progress,
            )

    def cross_validate(self) -> OutOfFold:
        """Predict each image with a model that had no part of it in a fit or in a choice."""
        dataset, options = self.dataset, self._options
        probabilities = np.zeros((options.repeats, len(dataset.pictures), len(dataset.classes)))
        folds = np.zeros(probabilities.shape[:2], dtype=np.int64)
        self._workspace.progress("Cross-validate", 0, options.folds * options.repeats)
        for repeat in range(options.repeats):
            parts = list(splits.folds(dataset, options.folds, options.seed + repeat))
            for fold, (training, held_out) in enumerate(parts):
                folds[repeat, held_out] = fold
                probabilities[repeat, held_out] = self.predict(training, held_out, fold_name(repeat, fold))
                done = repeat * len(parts) + fold + 1
                self._workspace.progress("Cross-validate", done, len(parts) * options.repeats)
        return OutOfFold(probabilities, folds, dataset.labels)

    def first_fold(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The indices and the predictions of the first fold of `cross_validate`.

        Fine-tuning leaves its checkpoint, so that `cross_validate` does not do it again.
        """
        training, held_out = next(splits.folds(self.dataset, self._options.folds, self._options.seed))
        return held_out, self.predict(training, held_out, fold_name(0, 0))

    def fit_all(self) -> tuple[Learned, dict[str, Any]]:
        """Fit on all images; return what was learned, and details for the record."""
        everything = np.arange(len(self.dataset.pictures))
        if self._options.fine_tuning is None:
            fitted = self._fit_head(everything)
            return Learned(fitted.head), {"head_strength": fitted.strength}
        tuned = self._fine_tune(everything, FINAL)
        return Learned(tuned.tuner.head, tuned.deltas), {"history": tuned.history}

    def measure_distance(self) -> MeasuredDistance | None:
        """Measure how far images are from the training images, out of the folds of the first repeat.

        Fine-tuned networks are read from the checkpoints of `cross_validate` and `fit_all`.
        """
        folds = splits.folds(self.dataset, self._options.folds, self._options.seed)
        return familiarity.measure(self._rows, folds, len(self.dataset.pictures))

    def _rows(self, training: NDArray[np.int64], name: str) -> NDArray[np.float32]:
        if self._options.fine_tuning is None:
            return self._features[0]
        everything = np.arange(len(self.dataset.pictures))
        return self._fine_tune(training, name).tuner.features(self._activations, everything)

    def predict(
        self, training: NDArray[np.int64], held_out: NDArray[np.int64], name: str
    ) -> NDArray[np.float64]:
        """Fit on some images and predict others, both as indices; `name` is that of the checkpoint."""
        if self._options.fine_tuning is None:
            return self._fit_head(training).head.probabilities(self._features[0][held_out])
        return self._fine_tune(training, name).tuner.probabilities(self._activations, held_out)

    def _fit_head(self, training: NDArray[np.int64]) -> linear_head.FittedHead:
        views = len(self._features)
        return linear_head.fit(
            np.concatenate([view[training] for view in self._features]),
            np.tile(self.dataset.labels[training], views),
            np.tile(self.dataset.groups[training], views),
            linear_head.Penalty(len(self.dataset.classes), self._options.balanced),
            self._options.seed,
        )

    def _fine_tune(self, training: NDArray[np.int64], name: str) -> _Tuned:
        options = self._options.fine_tuning
        assert options is not None
        hold_out = training[:0]
        if options.patience:
            training, hold_out = splits.hold_out(self.dataset, training, self._options.seed)
        labels = self.dataset.labels
        tuner = Tuner(self._fine_tuned, self._fit_head(training).head, options, self._options.seed)
        history = tuner.fit(
            Examples(self._activations, labels, training, hold_out, self._class_weights(labels[training])),
            self._workspace.out / CHECKPOINTS / f"{name}.npz",
            self._workspace.out / "logs" / name,
            self._workspace.progress,
        )
        return _Tuned(tuner, history, self._quantise(tuner))

    def _class_weights(self, labels: NDArray[np.int64]) -> NDArray[np.float32]:
        counts = np.bincount(labels, minlength=len(self.dataset.classes))
        if not self._options.balanced:
            return np.ones(len(counts), np.float32)
        return (len(labels) / (len(counts) * np.maximum(counts, 1))).astype(np.float32)

    def _quantise(self, tuner: Tuner) -> dict[str, Delta]:
        """Round the tuned weights to what is saved, so that the judged network is the exported one."""
        deltas = {}
        for layer in tuner.blocks.layers:
            if not layer.weights:
                continue
            rounded = []
            old = self.network.branches[0].get_layer(layer.name).get_weights()
            for index, (before, after) in enumerate(zip(old, layer.get_weights(), strict=True)):
                delta = Delta.between(before, after)
                deltas[f"0/{layer.name}/{index}"] = delta
                rounded.append(delta.apply(before))
            layer.set_weights(rounded)
        return deltas
