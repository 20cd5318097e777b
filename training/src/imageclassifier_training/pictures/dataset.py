"""Reads a data set: a folder with one subfolder per class, every file checked, identified by its content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imageclassifier_gateway.contract import ModelInput
from imageclassifier_gateway.pixels.images import Limits, PictureError, prepare

from ..errors import DataError
from ..progress import Progress, no_progress

#: Files that operating systems leave in folders. Any other file that is not an image is an error.
_IGNORED_FILES = {"Thumbs.db", "desktop.ini"}
#: The check decodes each file; a small size saves most of the time.
_CHECKED_INPUT = ModelInput(height=64, width=64)
LIMITS = Limits()


@dataclass(frozen=True)
class Picture:
    """One image file: its class as an index, and the sha256 of its bytes."""

    path: Path
    label: int
    digest: str


@dataclass(frozen=True)
class Dataset:
    """The images of all classes, ordered by class and file name."""

    classes: tuple[str, ...]
    pictures: tuple[Picture, ...]

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """The class index of each image."""
        return np.array([picture.label for picture in self.pictures], dtype=np.int64)

    @property
    def digest(self) -> str:
        """`sha256:` over the classes and contents; names and places of the files do not change it."""
        lines = sorted(f"{self.classes[each.label]} {each.digest}" for each in self.pictures)
        return "sha256:" + hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def counts(self) -> dict[str, int]:
        """The number of images of each class."""
        return {name: int((self.labels == i).sum()) for i, name in enumerate(self.classes)}

    def subset(self, indices: NDArray[np.int64]) -> Dataset:
        """The images with these indices, with the same classes."""
        return Dataset(self.classes, tuple(self.pictures[i] for i in indices))


def read(folder: Path, progress: Progress = no_progress) -> Dataset:
    """Read a folder with one subfolder per class, and check every file.

    The classes are the names of the subfolders, sorted. Raises DataError with one line per problem: the
    folder is missing, there are fewer than two classes, a class is empty, a file is not an image or is
    damaged, or two classes hold the same image.
    """
    class_folders = _class_folders(folder)
    files = [(path, label) for label, each in enumerate(class_folders) for path in _files(each)]
    problems = [
        f"{each}: the class has no images. Add images, or remove the folder."
        for each in class_folders
        if not any(_files(each))
    ]
    pictures = []
    with ThreadPoolExecutor() as threads:
        for done, (picture, problem) in enumerate(threads.map(_check, files), start=1):
            progress("Check the images", done, len(files))
            if problem:
                problems.append(problem)
            else:
                pictures.append(picture)
    dataset = Dataset(tuple(each.name for each in class_folders), tuple(pictures))
    problems += _in_two_classes(dataset)
    if problems:
        raise DataError(problems)
    return dataset


def load_pixels(pictures: Iterable[Picture], wanted: ModelInput) -> Iterator[NDArray[np.uint8]]:
    """Yield the pixels of each image as the gateway prepares them, uint8 `(height, width, 3)`.

    All cores decode ahead.
    """
    with ThreadPoolExecutor() as threads:
        yield from threads.map(lambda picture: prepare(picture.path.read_bytes(), wanted, LIMITS), pictures)


def _class_folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise DataError([f"{folder} is not a folder. Give a folder with one subfolder of images per class."])
    class_folders = sorted(
        each for each in folder.iterdir() if each.is_dir() and not each.name.startswith(".")
    )
    if len(class_folders) < 2:
        names = ", ".join(each.name for each in class_folders) or "none"
        raise DataError(
            [
                f"{folder} has {len(class_folders)} class folder(s) ({names}). "
                "A classifier needs at least two: add a subfolder of images for each class."
            ]
        )
    return class_folders


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith(".") and path.name not in _IGNORED_FILES:
            yield path


def _check(file: tuple[Path, int]) -> tuple[Picture, str]:
    path, label = file
    try:
        data = path.read_bytes()
        prepare(data, _CHECKED_INPUT, LIMITS)
    except PictureError as error:
        return Picture(path, label, ""), f"{path}: {error}"
    except OSError as error:
        return Picture(path, label, ""), f"{path}: the file cannot be read ({error.strerror})."
    return Picture(path, label, hashlib.sha256(data).hexdigest()), ""


def _in_two_classes(dataset: Dataset) -> list[str]:
    first: dict[str, Picture] = {}
    problems = []
    for picture in dataset.pictures:
        other = first.setdefault(picture.digest, picture)
        if other.label != picture.label:
            name = dataset.classes[other.label]
            problems.append(
                f"{picture.path}: class '{name}' holds the same image, {other.path}. Remove one of the two."
            )
    return problems
