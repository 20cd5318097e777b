"""Finds the weights files of backbones of keras.applications in a folder, by the names Keras gives them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..errors import WeightsUnavailable
from ..files import shown


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


def _plain(name: str) -> str:
    return name.casefold().replace("_", "").replace("-", "")
