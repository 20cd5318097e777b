"""The image files of a data set before any is opened: the class of each, and what is wrong so far."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..files import shown
from .litter import is_litter


@dataclass(frozen=True)
class Listing:
    """The files of one data set with their class names.

    `source` is the folder or the file that lists them. `problems` has one sentence per problem, and `litter`
    the names that were skipped.
    """

    source: Path
    classes: tuple[str, ...]
    files: tuple[tuple[Path, str], ...]
    problems: tuple[str, ...] = ()
    litter: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sources:
    """The data sets that a folder or a file holds; without splits, everything is in `training`."""

    training: Listing
    validation: Listing | None = None
    test: Listing | None = None

    @property
    def has_splits(self) -> bool:
        """Whether the data came divided into splits."""
        return self.validation is not None or self.test is not None

    @property
    def to_evaluate(self) -> Listing:
        """The images on which a model is measured: those that no training has seen, if there are any."""
        return self.test or self.validation or self.training

    def all(self) -> dict[str, Listing]:
        """The data sets by the name of their split."""
        named = {"training": self.training, "validation": self.validation, "test": self.test}
        return {name: listing for name, listing in named.items() if listing is not None}


#: Names of splits, in lower case, and the part that each plays.
SPLIT_NAMES = {
    "train": "training",
    "training": "training",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
    "eval": "test",
    "holdout": "test",
    "hold-out": "test",
}


def children(folder: Path) -> tuple[list[Path], list[Path], list[str]]:
    """List the subfolders, the files and the names of the litter of a folder; links are followed.

    The order is that of the bytes of the names, so it is the same on every machine.
    """
    folders, files, litter = [], [], []
    for path in sorted(folder.iterdir(), key=lambda each: os.fsencode(each.name)):
        if is_litter(path.name):
            litter.append(path.name)
        elif path.is_dir():
            folders.append(path)
        else:
            files.append(path)
    return folders, files, litter


def files_below(folder: Path) -> tuple[list[Path], list[str], list[str]]:
    """List all files below a folder, on every level, with the problems and the litter that were met.

    Links to folders are followed; a folder that was visited already is not visited twice.
    """
    files: list[Path] = []
    problems: list[str] = []
    litter: list[str] = []
    seen = set()
    waiting = [folder]
    while waiting:
        current = waiting.pop()
        try:
            status = current.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            below, here, skipped = children(current)
        except OSError as error:
            problems.append(f"{shown(current)}: the folder cannot be read ({error.strerror}).")
            continue
        waiting.extend(reversed(below))
        files.extend(here)
        litter.extend(skipped)
    return files, problems, litter


def class_name(raw: str) -> str:
    """Normalise the name of a class to NFC: macOS and Linux write the same accent differently."""
    return unicodedata.normalize("NFC", raw).strip()


def unusable_class_name(name: str) -> str:
    """Say why this cannot be the name of a class; empty if it can."""
    if not name:
        return "the name of the class is empty"
    if any("\ud800" <= character <= "\udfff" for character in name):
        return "the name of the class is not UTF-8"
    if not name.isprintable():
        return "the name of the class contains control characters"
    return ""


def split_of(name: str) -> str | None:
    """The split that a folder or a value of this name stands for: training, validation, test, or None."""
    return SPLIT_NAMES.get(name.strip().casefold())


def names(paths: Iterable[Path], most: int = 6) -> str:
    """The names of some paths in one line, at most `most` of them."""
    listed = [shown(path.name) for path in paths]
    return ", ".join(listed[:most]) + (f" and {len(listed) - most} more" if len(listed) > most else "")
