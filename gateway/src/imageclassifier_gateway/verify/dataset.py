"""The labelled pictures of a verification: the files in class folders."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..pixels.images import PictureTooLarge
from .outcome import NotCarriedOutError, RejectedError
from .plan import Dataset, Folder

#: Files that file systems and operating systems create. Names that begin with a dot are ignored too.
_IGNORED = {"lost+found", "Thumbs.db", "desktop.ini"}
#: With this many pictures, the exact test takes two seconds, and the paths take 20 MB.
MAX_PICTURES = 100_000
_SHOWN_NAMES = 10
_NAME = "The data set spec.rollout.acceptance.dataset"


@dataclass(frozen=True)
class LabelledPicture:
    """A file, and the class of its folder."""

    label: str
    path: Path

    @property
    def name(self) -> str:
        """The file with its class folder, for messages."""
        return f"{self.label}/{self.path.name}"

    def read(self, max_bytes: int) -> bytes:
        """The bytes of the file. Raises OSError, or PictureTooLarge before anything is read."""
        size = self.path.stat().st_size
        if size > max_bytes:
            raise PictureTooLarge(f"The picture has {size:,} bytes; at most {max_bytes:,} are accepted.")
        return self.path.read_bytes()


def find_pictures(dataset: Dataset) -> list[LabelledPicture]:
    """All files in the class folders, in a pseudo-random order that is the same in each run.

    So the pictures that are done at any moment are a representative sample. Raises NotCarriedOutError if
    there are no files.
    """
    try:
        folders = dataset.folders if dataset.root is None else tuple(_class_folders(dataset.root))
        found = [LabelledPicture(folder.label, path) for folder in folders for path in _files(folder.path)]
    except OSError as error:
        raise NotCarriedOutError(f"{_NAME} cannot be read: {error}.") from None
    filled = {picture.path.parent for picture in found}
    for folder in dataset.folders:
        if folder.path not in filled:
            raise NotCarriedOutError(
                f"{_NAME} has no pictures of the class {folder.label}: the ConfigMap {folder.path.name} does "
                "not exist or is empty. Create it with kubectl create configmap --from-file."
            )
    if not found:
        raise NotCarriedOutError(
            f"{_NAME} has no pictures. It needs one folder for each class, with the picture files in it. "
            f"Found folders: {_list(folder.label for folder in folders)}."
        )
    if len(found) > MAX_PICTURES:
        raise NotCarriedOutError(
            f"{_NAME} has {len(found):,} pictures; at most {MAX_PICTURES:,} are accepted. Use a part of them."
        )
    return sorted(found, key=_shuffled)


def check_labels(
    pictures: Iterable[LabelledPicture], candidate: Iterable[str], serving: Iterable[str]
) -> None:
    """Raise RejectedError if a folder is not named after a class of the candidate."""
    known = tuple(candidate)
    unknown = sorted({picture.label for picture in pictures} - set(known))
    if not unknown:
        return
    dropped = [label for label in unknown if label in set(serving)]
    why = f"The serving version has {_list(dropped)}, which the candidate no longer has. " if dropped else ""
    raise RejectedError(
        "DatasetInvalid",
        f"{_NAME} has folders that are no classes of the candidate: {_list(unknown)}. Its classes are "
        f"{_list(known)}. {why}Rename or remove these folders, then change the annotation "
        "imageclassifier.dev/retry.",
    )


def _class_folders(root: Path) -> Iterator[Folder]:
    for path in sorted(root.iterdir()):
        if not _is_ignored(path.name) and path.is_dir():
            yield Folder(path.name, path)


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if not _is_ignored(path.name) and path.is_file():
            yield path


def _is_ignored(name: str) -> bool:
    return name.startswith(".") or name in _IGNORED


def _shuffled(picture: LabelledPicture) -> bytes:
    return hashlib.sha256(picture.name.encode(errors="surrogateescape")).digest()


def _list(names: Iterable[str]) -> str:
    every = tuple(names)
    shown = ", ".join(every[:_SHOWN_NAMES]) or "none"
    return f"{shown}, ..." if len(every) > _SHOWN_NAMES else shown
