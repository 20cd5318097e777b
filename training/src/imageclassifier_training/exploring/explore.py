"""Explores a data set: reads it, measures it, and finds what is wrong or odd in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..files import shown
from ..fitting import features
from ..fitting.options import Options, Workspace
from ..fitting.trainer import Trainer
from ..judging import metrics
from ..judging.metrics import Metrics
from ..pictures import folders, near_duplicates, reading
from ..pictures.dataset import Broken, Dataset
from ..pictures.lists import Listed
from ..pictures.reading import Reading
from . import label_errors, measurements, outliers
from .label_errors import LabelDoubt
from .measurements import Measurements

#: Images whose own label gets less than this are shown as doubtful, beside the probable label errors.
_DOUBTFUL_BELOW = 0.35
#: What an exclusion list has: the findings that harm a training.
LISTED_FINDINGS = ("unusable", "conflict", "copy", "label-error")


@dataclass(frozen=True)
class DuplicateGroup:
    """Images that are copies or near duplicates of each other."""

    indices: tuple[int, ...]
    exact: bool
    across_classes: bool
    across_splits: bool


@dataclass(frozen=True)
class Exploration:
    """Everything that was found; indices are those of `dataset.pictures`."""

    source: Path
    dataset: Dataset
    splits: tuple[str, ...]
    split_of: tuple[str, ...]
    measurements: Measurements
    duplicates: tuple[DuplicateGroup, ...]
    doubts: tuple[LabelDoubt, ...]
    outliers: tuple[int, ...]
    #: The figures of a linear head on the features by cross-validation; None if there are too few images.
    expected: Metrics | None
    probabilities: NDArray[np.float64]
    notes: tuple[str, ...]

    @property
    def broken(self) -> tuple[Broken, ...]:
        """The files that cannot be used."""
        return self.dataset.broken

    def listed(self) -> list[Listed]:
        """The findings of `LISTED_FINDINGS`, a line each.

        Of exact copies the first image is not listed. Images with the same content in two classes are all
        listed, because it is not known which label is right.
        """
        names, pictures = self.dataset.classes, self.dataset.pictures
        lines = [Listed(each.path, each.digest, "", "unusable", each.problem) for each in self.broken]
        done: set[int] = set()
        for group in self.duplicates:
            if not group.exact:
                continue
            for index in group.indices if group.across_classes else group.indices[1:]:
                picture = pictures[index]
                finding = "conflict" if group.across_classes else "copy"
                other = group.indices[0] if index != group.indices[0] else group.indices[1]
                detail = f"the same image as {pictures[other].path}"
                # The digest of a copy is that of the image that stays: only the path tells them apart.
                digest = picture.digest if finding == "conflict" else ""
                lines.append(Listed(picture.path, digest, names[picture.label], finding, detail))
                done.add(index)
        for doubt in self.doubts:
            if doubt.probable and doubt.index not in done:
                picture = pictures[doubt.index]
                detail = f"looks like {names[doubt.suggested]}; its own label gets {doubt.quality:.3f}"
                lines.append(
                    Listed(picture.path, picture.digest, names[picture.label], "label-error", detail)
                )
        return lines


def explore(source: Path, options: Options, workspace: Workspace, given: Reading) -> Exploration:
    """Read and explore a data set; problems of single files are findings, not errors.

    `options` are those of the linear head whose out-of-fold predictions find doubtful labels. Raises
    DataError when the source has no layout that can be read, or when fewer than two classes are left.
    """
    sources = folders.find(source).all()
    datasets = reading.read_all(sources, replace(given, skip_broken=True, lenient=True), workspace.progress)
    dataset, split_of = _merged(datasets)
    if sum(count > 0 for count in dataset.counts().values()) < 2:
        raise DataError([f"{shown(source)}: fewer than two classes have usable images.", *dataset.notes])
    measured = measurements.measure(dataset.pictures, workspace.progress)
    folds = min(options.folds, max(dataset.distinct_counts().values()))
    trainer = Trainer(dataset, replace(options, folds=folds), workspace)
    rows = features.extract(trainer.network, dataset.pictures, 0, workspace.cache, workspace.progress)
    probabilities = _out_of_fold(trainer, folds)
    predicted = probabilities.sum(axis=1) > 0.5
    expected = (
        metrics.compute(probabilities[predicted], dataset.labels[predicted]) if predicted.any() else None
    )
    return Exploration(
        source=source,
        dataset=dataset,
        splits=tuple(sources) if len(sources) > 1 else (),
        split_of=split_of,
        measurements=measured,
        duplicates=_duplicates(dataset, split_of),
        doubts=tuple(label_errors.find(probabilities, dataset.labels, _DOUBTFUL_BELOW)),
        outliers=tuple(outliers.find(outliers.distances(rows, dataset.groups))),
        expected=expected,
        probabilities=probabilities,
        notes=dataset.notes,
    )


def _merged(datasets: Mapping[str, Dataset]) -> tuple[Dataset, tuple[str, ...]]:
    """All splits as one data set, and the split of each image."""
    classes = tuple(sorted({name for each in datasets.values() for name in each.classes}))
    pictures, split_of = [], []
    for split, dataset in datasets.items():
        for picture in dataset.pictures:
            pictures.append(replace(picture, label=classes.index(dataset.classes[picture.label])))
            split_of.append(split)
    order = sorted(range(len(pictures)), key=lambda i: pictures[i].label)
    pictures = [pictures[i] for i in order]
    notes = dict.fromkeys(note for each in datasets.values() for note in each.notes)
    broken = tuple(each for dataset in datasets.values() for each in dataset.broken)
    groups = near_duplicates.groups(pictures)
    return Dataset(classes, tuple(pictures), groups, tuple(notes), broken), tuple(split_of[i] for i in order)


def _out_of_fold(trainer: Trainer, folds: int) -> NDArray[np.float64]:
    dataset = trainer.dataset
    if folds < 2:
        return np.zeros((len(dataset.pictures), len(dataset.classes)))
    return np.asarray(trainer.cross_validate().probabilities.mean(axis=0))


def _duplicates(dataset: Dataset, split_of: Sequence[str]) -> tuple[DuplicateGroup, ...]:
    members: dict[int, list[int]] = {}
    for index, group in enumerate(dataset.groups.tolist()):
        members.setdefault(group, []).append(index)
    found = [
        DuplicateGroup(
            tuple(indices),
            exact=len({dataset.pictures[i].digest for i in indices}) == 1,
            across_classes=len({dataset.pictures[i].label for i in indices}) > 1,
            across_splits=len({split_of[i] for i in indices}) > 1,
        )
        for indices in members.values()
        if len(indices) > 1
    ]
    # The harmful ones first: two labels for the same image, then an image in two splits.
    return tuple(
        sorted(found, key=lambda each: (not each.across_classes, not each.across_splits, not each.exact))
    )
