"""Finds the weights files of backbones of keras.applications, in a folder by the names Keras gives them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..errors import TrainingError, WeightsUnavailable
from ..files import shown
from .architecture import Architecture
from .backbones import BACKBONES

#: Below the folder of a search, the weights that `search --random-weights` wrote.
RANDOM_WEIGHTS = "weights"


def find(folder: Path, backbones: Iterable[str]) -> dict[str, Path]:
    """The file of each backbone: `vgg16.weights.h5`, or `vgg16_..._notop.h5` as Keras downloads it.

    Raises one WeightsUnavailable with all backbones that have no file.
    """
    files = sorted(each for each in folder.iterdir() if each.suffix == ".h5") if folder.is_dir() else []
    found, missing = {}, []
    for name in backbones:
        # With and without top may lie side by side.
        mine = [each for each in files if _plain(each.name).startswith(_plain(name))]
        mine.sort(key=lambda each: "notop" not in each.name)
        if mine:
            found[name] = mine[0]
        else:
            missing.append(name)
    if missing:
        raise WeightsUnavailable(
            f"{shown(folder)} has no weights file for {', '.join(missing)}. Put the file of "
            f"keras.applications (without top) there, named like {missing[0]}_notop.h5, or remove "
            "the backbone."
        )
    return found


def files_for(path: Path | None, architecture: Architecture) -> dict[str, Path]:
    """The files by the name of the backbone: a folder has several, a file is for one, None has none."""
    if path is None:
        return {}
    names = {each.backbone for each in architecture.branches if BACKBONES[each.backbone].downloads}
    if path.is_dir():
        return find(path, sorted(names))
    if len(names) != 1:
        raise TrainingError(
            f"--weights applies to exactly one backbone of keras.applications, but {architecture} has "
            f"{len(names)}. Remove --weights, or choose one such backbone."
        )
    return {names.pop(): path}


def random_beside(training: Path) -> Path | None:
    """The random weights of the search to which a training, or its champion, belongs; None without them."""
    candidates = [parent / RANDOM_WEIGHTS for parent in (training.parent, training.parent.parent)]
    return next((each for each in candidates if each.is_dir()), None)


def _plain(name: str) -> str:
    return name.casefold().replace("_", "").replace("-", "")
