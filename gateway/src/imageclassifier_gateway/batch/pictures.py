"""The pictures of a batch: files below a folder, or objects below a URI of a bucket."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from .errors import BatchRefusedError

#: The largest picture that `spec.gateway.maxImageBytes` may allow.
MAX_BYTES = 256 * 2**20
#: Other files are lists, earlier results and the like. Names without an end may be pictures.
_SUFFIXES = frozenset(
    (
        *("", ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"),
        *(".avif", ".heic", ".heif", ".hif"),
    )
)
#: At the root of a volume with ext4. Only root can read it.
_OF_THE_FILE_SYSTEM = "lost+found"


class Pictures(Protocol):
    """Where the pictures are. Their names are relative to it."""

    def names(self) -> Iterator[str]:
        """The names of all files, in an order that stays the same."""

    def read(self, name: str) -> bytes:
        """The content. Raises ValueError with a sentence, or OSError if a retry may help."""


@dataclass(frozen=True)
class Listed:
    """The names of the pictures, and how many other files are among them."""

    pictures: list[str]
    others: int


def listed(pictures: Pictures) -> Listed:
    """The pictures among the files, by their names. Raises BatchRefusedError if there is none."""
    found, others = [], 0
    for name in pictures.names():
        if is_picture(name):
            found.append(name)
        else:
            others += 1
    if not found:
        raise BatchRefusedError(
            f"No picture was found in {pictures}, and {others:,} other files. Correct the folder, or put "
            "pictures into it."
        )
    return Listed(found, others)


def is_picture(name: str) -> bool:
    """Whether the name is that of a picture, and no part of it is hidden.

    >>> tuple(is_picture(name) for name in ("a/B.JPG", "a/list.csv", ".cache/b.jpg", "0a1b"))
    (True, False, False, True)
    """
    path = PurePosixPath(name)
    return path.suffix.lower() in _SUFFIXES and not any(part.startswith(".") for part in path.parts)


@dataclass(frozen=True)
class Folder:
    """The files below a folder, on every level. Links to folders are not followed."""

    root: Path

    def __str__(self) -> str:
        return str(self.root)

    def names(self) -> Iterator[str]:
        """The names of the files. Raises BatchRefusedError if a folder cannot be read."""
        for directory, folders, files in os.walk(self.root, onerror=_refuse):
            folders[:] = sorted(folder for folder in folders if folder != _OF_THE_FILE_SYSTEM)
            for file in sorted(files):
                path = Path(directory, file)
                if path.is_file():
                    yield path.relative_to(self.root).as_posix()

    def read(self, name: str) -> bytes:
        """The content of a file."""
        try:
            with (self.root / name).open("rb") as file:
                if os.fstat(file.fileno()).st_size > MAX_BYTES:
                    raise ValueError(too_large())
                return file.read()
        except (FileNotFoundError, PermissionError) as error:
            raise ValueError(f"The file cannot be read: {error.strerror}.") from None


def too_large() -> str:
    """The sentence about a file that no gateway accepts."""
    return f"The file has more than {MAX_BYTES // 2**20} MiB."


def _refuse(error: OSError) -> None:
    raise BatchRefusedError(
        f"The folder {error.filename} cannot be read: {error.strerror}. Correct the folder or its "
        "permissions."
    )
