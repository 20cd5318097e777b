"""The pictures for an adoption: those of the user, with the classes of their folders, or drawn ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imageclassifier_gateway.contract import ModelClass, ModelInput
from imageclassifier_gateway.pixels.images import PictureError, prepare

from ..errors import DataError, TrainingError
from ..exporting import golden
from ..files import shown
from ..pictures.listing import class_name, files_below

_MOST = 100
_NOISES = 4


@dataclass(frozen=True)
class Files:
    """Some files of a folder. `folders` has the name of the folder of each, empty for the whole one.

    `class_folders` are the names of all folders with files, in the order in which Keras numbers them.
    """

    source: Path
    paths: tuple[Path, ...]
    folders: tuple[str, ...]
    class_folders: tuple[str, ...]

    def labels(self, classes: Sequence[ModelClass]) -> NDArray[np.int64]:
        """The class index of each file by its folder, -1 for a folder that is called like no class."""
        index = {each.display_name.casefold(): i for i, each in enumerate(classes) if each.display_name}
        index |= {each.name.casefold(): i for i, each in enumerate(classes)}
        return np.array([index.get(each.casefold(), -1) for each in self.folders], dtype=np.int64)


def find(folder: Path) -> Files:
    """Find up to 100 files below a folder, evenly chosen. Raises TrainingError if there are none."""
    if not folder.is_dir():
        raise TrainingError(f"--images {shown(folder)} is not a folder. Name a folder with image files.")
    paths, problems, _ = files_below(folder)
    if problems:
        raise DataError(problems)
    if not paths:
        raise TrainingError(f"{shown(folder)} has no files. Put a few images there, or remove --images.")
    chosen = [paths[i] for i in np.unique(np.linspace(0, len(paths) - 1, _MOST).round().astype(int))]

    def folder_of(path: Path) -> str:
        return "" if path.parent == folder else class_name(path.parent.name)

    names = tuple(sorted({folder_of(each) for each in paths} - {""}))
    return Files(folder, tuple(chosen), tuple(folder_of(each) for each in chosen), names)


def load(files: Files, wanted: ModelInput) -> tuple[NDArray[np.uint8], NDArray[np.bool_], list[str]]:
    """Read the pixels `(pictures, height, width, 3)`, which files were read, and problems of the others."""
    pixels, read, problems = [], [], []
    for path in files.paths:
        try:
            pixels.append(prepare(path.read_bytes(), wanted))
        except (PictureError, OSError) as error:
            problems.append(f"{shown(path)}: {getattr(error, 'strerror', None) or error}")
            read.append(False)
        else:
            read.append(True)
    if not pixels:
        raise DataError(problems)
    return np.stack(pixels), np.array(read), problems


def drawn(wanted: ModelInput) -> NDArray[np.uint8]:
    """Drawn pictures as different as can be: the golden ones, black, white, gradients and noise."""
    shape = (wanted.height, wanted.width, 3)
    random = np.random.default_rng(17)
    across = np.linspace(0, 255, wanted.width)[None, :, None]
    down = np.linspace(0, 255, wanted.height)[:, None, None]
    gradient = np.concatenate(np.broadcast_arrays(across, down, 255 - across), axis=2)
    return np.stack(
        [
            *(prepare(file, wanted) for file in golden.files(wanted)),
            np.zeros(shape, np.uint8),
            np.full(shape, 255, np.uint8),
            gradient.astype(np.uint8),
            *(random.integers(0, 256, shape, dtype=np.uint8) for _ in range(_NOISES)),
        ]
    )
