"""Evaluates an exported model on a data set, with the pixels that the gateway would send."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..exporting.saved_model import ServedModel
from ..files import shown
from ..networks.learned import fingerprints
from ..pictures import dataset as datasets
from ..pictures.dataset import Dataset
from ..progress import Progress, no_progress
from ..words import counted
from .judgement import Judgement

_BATCH = 16


@dataclass(frozen=True)
class Evaluation:
    """What a model predicted for a data set.

    `trained_on` is the number of images that the model was trained on. `judgement` is about the other images;
    if there are none, it is about all, and its figures say nothing about new images.
    """

    model: ServedModel
    dataset: Dataset
    judgement: Judgement
    trained_on: int
    pictures_per_second: float

    @property
    def honest(self) -> bool:
        """Whether the judgement is about images that the model was not trained on."""
        return self.trained_on < len(self.dataset.pictures)

    def seen(self) -> str:
        """Say how many images the model was trained on, and what the figures are about; empty if none."""
        total = len(self.dataset.pictures)
        if not self.trained_on:
            return ""
        if not self.honest:
            return "The model was trained on all of the images: the figures say nothing about new images."
        return (
            f"The model was trained on {self.trained_on} of the {counted(total, 'image')}: the figures are "
            f"about the other {total - self.trained_on}."
        )

    def to_dict(self) -> dict[str, Any]:
        """The evaluation as JSON values."""
        return {
            "model": self.model.contract.name,
            "given_pictures": len(self.dataset.pictures),
            "trained_on": self.trained_on,
            "honest": self.honest,
            "data_digest": self.dataset.digest,
            "class_names": list(self.judgement.class_names),
            "threshold": self.model.contract.threshold,
            **self.judgement.metrics.to_dict(),
            "recorded_metrics": dict(self.model.contract.metrics),
            "pictures_per_second": round(self.pictures_per_second, 1),
            "mistakes": [
                {
                    "picture": shown(each.path),
                    "true": each.true_class,
                    "answered": each.predicted_class,
                    "true_probability": each.true_probability,
                }
                for each in self.judgement.mistakes
            ],
        }


def evaluate(model: ServedModel, dataset: Dataset, progress: Progress = no_progress) -> Evaluation:
    """Classify each image and compute the metrics.

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
    started = time.perf_counter()
    rows = []
    pixels = datasets.load_pixels(dataset.pictures, contract.input)
    progress("Evaluate", 0, len(dataset.pictures))
    for start in range(0, len(dataset.pictures), _BATCH):
        batch = dataset.pictures[start : start + _BATCH]
        rows.append(model.probabilities(np.stack([next(pixels) for _ in batch])))
        progress("Evaluate", start + len(batch), len(dataset.pictures))
    seconds = time.perf_counter() - started
    whole = Judgement(
        contract.class_names,
        contract.threshold,
        dataset.pictures,
        columns[dataset.labels],
        np.concatenate(rows),
    )
    seen = _trained_on(model, dataset)
    return Evaluation(
        model=model,
        dataset=dataset,
        judgement=whole if seen.all() else whole.subset(~seen),
        trained_on=int(seen.sum()),
        pictures_per_second=len(rows) and len(dataset.pictures) / seconds,
    )


def _trained_on(model: ServedModel, dataset: Dataset) -> NDArray[np.bool_]:
    """Which images the model was trained on, bool `(n,)`.

    A model of an older release has only the digest of its whole training set: then it is all images or none.
    """
    if not len(model.trained_on):
        return np.full(len(dataset.pictures), dataset.digest == model.contract.data_digest)
    numbers = np.array([fingerprints([each.digest])[0] for each in dataset.pictures])
    return np.isin(numbers, model.trained_on)
