"""A data set as values: images with their class, content and group, and the pixels of each."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imageclassifier_gateway.contract import ModelInput
from imageclassifier_gateway.pixels.images import Limits, prepare

LIMITS = Limits()


@dataclass(frozen=True)
class Picture:
    """One image file: its class as an index, the sha256 of its bytes, and its thumbnail.

    The thumbnail is RGB, uint8 `(side, side, 3)` as bytes (`near_duplicates.SIDE`).
    """

    path: Path
    label: int
    digest: str
    thumbnail: bytes = field(default=b"", repr=False, compare=False)


@dataclass(frozen=True)
class Broken:
    """A file that cannot be used, and why; the digest is empty if it could not be read at all."""

    path: Path
    problem: str
    digest: str = ""


@dataclass(frozen=True)
class Dataset:
    """The images of all classes, ordered by class and file name.

    `groups` has a number for each image: copies and near duplicates have the same one. `notes` are sentences
    for the user about what was skipped, and `broken` the skipped files.
    """

    classes: tuple[str, ...]
    pictures: tuple[Picture, ...]
    groups: NDArray[np.int64] = field(repr=False, compare=False)
    notes: tuple[str, ...] = ()
    broken: tuple[Broken, ...] = ()

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

    def distinct_counts(self) -> dict[str, int]:
        """The number of groups of each class: copies and near duplicates count once."""
        return {name: len(np.unique(self.groups[self.labels == i])) for i, name in enumerate(self.classes)}

    def subset(self, indices: NDArray[np.int64]) -> Dataset:
        """The images with these indices, with the same classes and groups."""
        return replace(self, pictures=tuple(self.pictures[i] for i in indices), groups=self.groups[indices])


def load_pixels(pictures: Iterable[Picture], wanted: ModelInput) -> Iterator[NDArray[np.uint8]]:
    """Yield the pixels of each image as the gateway prepares them, uint8 `(height, width, 3)`.

    All cores decode ahead.
    """
    with ThreadPoolExecutor() as threads:
        yield from threads.map(lambda picture: prepare(picture.path.read_bytes(), wanted, LIMITS), pictures)
