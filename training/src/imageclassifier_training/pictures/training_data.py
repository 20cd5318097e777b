"""Reads the images of a training: the training set and, if there is one, the validation set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import DataError
from ..files import shown
from ..progress import Progress, no_progress
from ..words import counted
from . import splits
from .dataset import Broken, Dataset
from .folders import find
from .listing import Listing, Sources
from .reading import DEFAULT_READING, Reading, read_all


@dataclass(frozen=True)
class TrainingData:
    """The images to train on, other images to measure on, and sentences about both for the user."""

    training: Dataset
    validation: Dataset | None
    notes: tuple[str, ...]

    @property
    def broken(self) -> tuple[Broken, ...]:
        """The files that were skipped."""
        return self.training.broken + (self.validation.broken if self.validation else ())


def choose(source: Path, validation: Path | None) -> Sources:
    """List the images of a training without opening any.

    Splits below `source` are used as such. `validation` is another source, and takes precedence.
    """
    found = find(source)
    if validation is None:
        return found
    other = find(validation)
    if other.has_splits:
        raise DataError(
            [
                f"{shown(validation)} is divided into splits ({', '.join(other.all())}). "
                "Give one of its folders."
            ]
        )
    return Sources(found.training, other.training, found.test)


def read(
    sources: Sources, folds: int, reading: Reading = DEFAULT_READING, progress: Progress = no_progress
) -> TrainingData:
    """Read the images and check everything that training with `folds` folds needs.

    Raises one DataError with all problems: of the files, of the classes, and between the two sets.
    """
    listings: dict[str, Listing] = {"training": sources.training}
    if sources.validation is not None:
        listings["validation"] = sources.validation

    def also(datasets: Mapping[str, Dataset]) -> list[str]:
        problems = splits.problems(datasets["training"], folds)
        if "validation" in datasets:
            problems += splits.overlap(datasets["training"], datasets["validation"])
        return problems

    datasets = read_all(listings, reading, progress, also)
    training, validation = datasets["training"], datasets.get("validation")
    notes = [note for each in datasets.values() for note in each.notes]
    notes += splits.notes(training, folds)
    if sources.has_splits and sources.validation is not None:
        notes.append(f"{shown(sources.validation.source)} is used to measure the result, not to train.")
    if sources.test is not None:
        notes.append(
            f"The test split in {shown(sources.test.source)} ({counted(len(sources.test.files), 'image')}) "
            "is not used. Evaluate the exported model on it."
        )
    return TrainingData(training, validation, tuple(dict.fromkeys(notes)))


def read_training_set(
    source: Path, folds: int, reading: Reading = DEFAULT_READING, progress: Progress = no_progress
) -> TrainingData:
    """Read only the images to train on. Other splits are left for the evaluation; a note says so.

    Raises the errors of `choose` and `read`.
    """
    sources = choose(source, None)
    data = read(Sources(sources.training), folds, reading, progress)
    others = [each for each in (sources.validation, sources.test) if each is not None]
    notes = (f"{shown(each.source)} is not used. Evaluate the exported champion on it." for each in others)
    return replace(data, notes=(*data.notes, *notes))
