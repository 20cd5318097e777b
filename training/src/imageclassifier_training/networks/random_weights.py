"""Writes random weights of backbones of keras.applications as files, to try them without ImageNet weights."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import keras

from .backbones import backbone


def write(folder: Path, backbones: Iterable[str], seed: int) -> dict[str, Path]:
    """Write a weights file for each backbone that has none in the folder, and return all of them.

    They are files so that an export finds the same weights again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for name in backbones:
        row = backbone(name)
        assert row.application is not None
        path = files[name] = folder / f"{name}.weights.h5"
        if not path.exists():
            keras.utils.set_random_seed(seed)
            model = getattr(keras.applications, row.application)(include_top=False, weights=None)
            partial = folder / f".{name}.partial.weights.h5"
            model.save_weights(partial)
            partial.rename(path)
    return files
