"""Measures an exported model on a folder of pictures, through the same pixels that the gateway would send."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..exporting.saved_model import ServedModel
from ..pictures import dataset as data
from ..pictures.dataset import Dataset, Picture, Progress
from . import metrics

_BATCH = 16
_WORST = 24


@dataclass(frozen=True)
class Mistake:
    """A picture answered wrongly, and the probability that its true class got."""

    path: Path
    true_class: str
    answered: str
    true_probability: float


@dataclass(frozen=True)
class Evaluation:
    """A model's figures on a data set. `seen` tells that these are the pictures it was trained on."""

    model: ServedModel
    dataset: Dataset
    probabilities: NDArray[np.float64]
    metrics: metrics.Metrics
    mistakes: tuple[Mistake, ...]
    seen: bool
    pictures_per_second: float

    def to_dict(self) -> dict[str, Any]:
        """All figures as plain JSON values."""
        return {
            "model": self.model.contract.name,
            "trained_on_these_pictures": self.seen,
            "data_digest": self.dataset.digest,
            "classes": list(self.dataset.classes),
            "threshold": self.model.contract.threshold,
            **self.metrics.to_dict(),
            "recorded_metrics": dict(self.model.contract.metrics),
            "pictures_per_second": round(self.pictures_per_second, 1),
            "mistakes": [
                {
                    "picture": str(each.path),
                    "true": each.true_class,
                    "answered": each.answered,
                    "true_probability": each.true_probability,
                }
                for each in self.mistakes
            ],
        }


def evaluate(model: ServedModel, dataset: Dataset, progress: Progress = lambda *_: None) -> Evaluation:
    """Run every picture and compute the figures; mistakes are sorted, the surest first.

    Raises DataError when the data set's classes are not the model's.
    """
    contract = model.contract
    if unknown := sorted(set(dataset.classes) - set(contract.class_names)):
        raise DataError(
            [f"The model knows the classes {', '.join(contract.class_names)}; the data has '{unknown[0]}'."]
        )
    columns = np.array([contract.class_names.index(name) for name in dataset.classes])
    labels = columns[dataset.labels]
    started = time.perf_counter()
    rows = []
    pixels = data.load_pixels(dataset.pictures, contract.input)
    for start in range(0, len(dataset.pictures), _BATCH):
        batch = dataset.pictures[start : start + _BATCH]
        rows.append(model.probabilities(np.stack([next(pixels) for _ in batch])))
        progress("Evaluating", start + len(batch), len(dataset.pictures))
    probabilities = np.concatenate(rows)
    return Evaluation(
        model=model,
        dataset=dataset,
        probabilities=probabilities,
        metrics=metrics.compute(probabilities, labels, contract.threshold),
        mistakes=_mistakes(dataset.pictures, labels, probabilities, model),
        seen=dataset.digest == contract.data_digest,
        pictures_per_second=len(labels) / (time.perf_counter() - started),
    )


def worst(mistakes: tuple[Mistake, ...]) -> tuple[Mistake, ...]:
    """Those that a report shows."""
    return mistakes[:_WORST]


def _mistakes(
    pictures: tuple[Picture, ...],
    labels: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    model: ServedModel,
) -> tuple[Mistake, ...]:
    names = model.contract.class_names
    answered = metrics.answers(probabilities, model.contract.threshold)
    mistakes = [
        Mistake(pictures[i].path, names[labels[i]], names[answered[i]], float(probabilities[i, labels[i]]))
        for i in np.flatnonzero(answered != labels)
    ]
    return tuple(sorted(mistakes, key=lambda each: each.true_probability))
