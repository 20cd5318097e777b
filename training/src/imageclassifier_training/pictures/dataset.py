"""The training pictures: a folder of class folders, checked file by file, with an identity made from its
content.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from imageclassifier_gateway.contract import ModelInput
from imageclassifier_gateway.images import Limits, PictureError, prepare

from ..errors import DataError

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""

#: Files that operating systems leave in folders; anything else that is not a picture is told.
_LITTER = {"Thumbs.db", "desktop.ini"}
#: Checking that a file decodes needs no more than this size.
_CHECK = ModelInput(height=64, width=64)
LIMITS = Limits()


@dataclass(frozen=True)
class Picture:
    """One file: its class as an index, and the sha256 of its bytes."""

    path: Path
    label: int
    digest: str


@dataclass(frozen=True)
class Dataset:
    """All pictures of all classes, in the order of class and file name."""

    classes: tuple[str, ...]
    pictures: tuple[Picture, ...]

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        return np.array([picture.label for picture in self.pictures], dtype=np.int64)

    @property
    def digest(self) -> str:
        """`sha256:` of all classes and contents, whatever the files' names and folder are."""
        lines = sorted(f"{self.classes[each.label]} {each.digest}" for each in self.pictures)
        return "sha256:" + hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def counts(self) -> dict[str, int]:
        """The number of pictures by class."""
        return {name: int((self.labels == i).sum()) for i, name in enumerate(self.classes)}


def read(folder: Path, progress: Progress = lambda *_: None) -> Dataset:
    """Read a folder of class folders and check every file.

    Classes are the folders' names in sorted order. Raises DataError with a line for each problem: a folder
    that is missing or has fewer than two classes, an empty class, a file that is no picture or damaged, the
    same picture in two classes.
    """
    if not folder.is_dir():
        raise DataError([f"{folder} is not a folder; it must hold one folder of pictures for each class."])
    class_folders = sorted(
        each for each in folder.iterdir() if each.is_dir() and not each.name.startswith(".")
    )
    if len(class_folders) < 2:
        names = ", ".join(each.name for each in class_folders) or "none"
        raise DataError(
            [f"{folder} has {len(class_folders)} class folder(s) ({names}); a classifier needs at least two."]
        )
    files = [(path, label) for label, each in enumerate(class_folders) for path in _files(each)]
    problems = [f"{each}: the class is empty." for each in class_folders if not any(_files(each))]
    pictures = []
    with ThreadPoolExecutor() as threads:
        for done, (picture, problem) in enumerate(threads.map(_check, files), start=1):
            progress("Checking the pictures", done, len(files))
            if problem:
                problems.append(problem)
            else:
                pictures.append(picture)
    dataset = Dataset(tuple(each.name for each in class_folders), tuple(pictures))
    problems += _in_two_classes(dataset)
    if problems:
        raise DataError(problems)
    return dataset


def check_apart(training: Dataset, validation: Dataset) -> None:
    """Raise DataError when the classes differ, or when a picture is in both parts of a split."""
    if training.classes != validation.classes:
        raise DataError(
            [
                f"The classes differ: {', '.join(training.classes)} for training, "
                f"{', '.join(validation.classes)} for validation."
            ]
        )
    known = {picture.digest: picture.path for picture in training.pictures}
    both = [picture for picture in validation.pictures if picture.digest in known]
    if both:
        raise DataError(
            [
                f"{each.path}: the same picture is among the training ones, {known[each.digest]}."
                for each in both
            ]
        )


def subset(dataset: Dataset, indices: NDArray[np.int64]) -> Dataset:
    """The pictures with these indices, of the same classes."""
    return Dataset(dataset.classes, tuple(dataset.pictures[i] for i in indices))


def folds(dataset: Dataset, count: int, seed: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Split into stratified folds, giving (training, held out) indices; copies of a picture stay together.

    Raises DataError when a class has fewer different pictures than there are folds.
    """
    groups = [picture.digest for picture in dataset.pictures]
    for label, name in enumerate(dataset.classes):
        different = len({picture.digest for picture in dataset.pictures if picture.label == label})
        if different < count:
            raise DataError(
                [f"Class '{name}' has {different} different pictures, too few for {count} folds."]
            )
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    yield from splitter.split(np.zeros(len(groups)), dataset.labels, groups)


def load_pixels(pictures: Iterable[Picture], wanted: ModelInput) -> Iterator[NDArray[np.uint8]]:
    """Prepare pictures one after the other, uint8 `(height, width, 3)`, decoding ahead on all cores."""
    with ThreadPoolExecutor() as threads:
        yield from threads.map(lambda picture: prepare(picture.path.read_bytes(), wanted, LIMITS), pictures)


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith(".") and path.name not in _LITTER:
            yield path


def _check(file: tuple[Path, int]) -> tuple[Picture, str]:
    path, label = file
    try:
        data = path.read_bytes()
        prepare(data, _CHECK, LIMITS)
    except PictureError as error:
        return Picture(path, label, ""), f"{path}: {error}"
    except OSError as error:
        return Picture(path, label, ""), f"{path}: it cannot be read ({error.strerror})."
    return Picture(path, label, hashlib.sha256(data).hexdigest()), ""


def _in_two_classes(dataset: Dataset) -> list[str]:
    first: dict[str, Picture] = {}
    problems = []
    for picture in dataset.pictures:
        other = first.setdefault(picture.digest, picture)
        if other.label != picture.label:
            name = dataset.classes[other.label]
            problems.append(f"{picture.path}: the same picture is in class '{name}', {other.path}.")
    return problems
