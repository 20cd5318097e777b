"""Evaluates an exported model on a data set, with the pixels that the gateway would send."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..exporting.saved_model import ServedModel
from ..files import shown
from ..pictures import dataset as datasets
from ..pictures.dataset import Dataset, Picture
from ..progress import Progress, no_progress
from . import metrics

_BATCH = 16
_WORST = 24


@dataclass(frozen=True)
class Mistake:
    """A misclassified image, and the predicted probability of its true class."""

    path: Path
    true_class: str
    predicted_class: str
    true_probability: float


@dataclass(frozen=True)
class Evaluation:
    """The metrics of a model on a data set; `trained_on` is true when it was trained on exactly this one."""

    model: ServedModel
    dataset: Dataset
    probabilities: NDArray[np.float64]
    metrics: metrics.Metrics
    mistakes: tuple[Mistake, ...]
    trained_on: bool
    pictures_per_second: float

    def to_dict(self) -> dict[str, Any]:
        """The evaluation as JSON values."""
        return {
            "model": self.model.contract.name,
            "trained_on_these_pictures": self.trained_on,
            "data_digest": self.dataset.digest,
            "classes": list(self.dataset.classes),
            "threshold": self.model.contract.threshold,
            **self.metrics.to_dict(),
            "recorded_metrics": dict(self.model.contract.metrics),
            "pictures_per_second": round(self.pictures_per_second, 1),
            "mistakes": [
                {
                    "picture": shown(each.path),
                    "true": each.true_class,
                    "answered": each.predicted_class,
                    "true_probability": each.true_probability,
                }
                for each in self.mistakes
            ],
        }


def evaluate(model: ServedModel, dataset: Dataset, progress: Progress = no_progress) -> Evaluation:
    """Classify each image and compute the metrics. The most confident mistakes come first.

    Raises DataError when the data set has a class that the model does not have.
    """
    contract = model.contract
    if unknown := sorted(set(dataset.classes) - set(contract.class_names)):
        raise DataError(
            [
                f"The data set has the class '{unknown[0]}', but the model predicts only "
                f"{', '.join(contract.class_names)}. Rename or remove the folder '{unknown[0]}'."
            ]
        )
    columns = np.array([contract.class_names.index(name) for name in dataset.classes])
    labels = columns[dataset.labels]
    started = time.perf_counter()
    rows = []
    pixels = datasets.load_pixels(dataset.pictures, contract.input)
    for start in range(0, len(dataset.pictures), _BATCH):
        batch = dataset.pictures[start : start + _BATCH]
        rows.append(model.probabilities(np.stack([next(pixels) for _ in batch])))
        progress("Evaluate", start + len(batch), len(dataset.pictures))
    probabilities = np.concatenate(rows)
    return Evaluation(
        model=model,
        dataset=dataset,
        probabilities=probabilities,
        metrics=metrics.compute(probabilities, labels, contract.threshold),
        mistakes=_mistakes(dataset.pictures, labels, probabilities, model),
        trained_on=dataset.digest == contract.data_digest,
        pictures_per_second=len(labels) / (time.perf_counter() - started),
    )


def worst(mistakes: tuple[Mistake, ...]) -> tuple[Mistake, ...]:
    """The mistakes that a report shows."""
    return mistakes[:_WORST]


def _mistakes(
    pictures: tuple[Picture, ...],
    labels: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    model: ServedModel,
) -> tuple[Mistake, ...]:
    names = model.contract.class_names
    predicted = metrics.predicted_classes(probabilities, model.contract.threshold)
    mistakes = [
        Mistake(pictures[i].path, names[labels[i]], names[predicted[i]], float(probabilities[i, labels[i]]))
        for i in np.flatnonzero(predicted != labels)
    ]
    return tuple(sorted(mistakes, key=lambda each: each.true_probability))
