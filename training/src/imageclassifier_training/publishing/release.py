"""Releases a training as a model version: exports it, and writes its model card beside the model."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from ..comparing.crowning import CHAMPION_FOLDER
from ..exporting.export import Exported, Place, export_training, next_version
from ..files import shown
from ..networks import learned, weights_folder
from ..networks.learned import Training
from . import figures, model_card
from .model_card import CARD_FILE, Origin


@dataclass(frozen=True)
class Wanted:
    """The version to make of a training.

    Without `version` it is the one after the highest version of `name` in `out`. `weights` is a file or a
    folder with the weights of backbones that are not installed with this package.
    """

    name: str
    version: int | None = None
    out: Path = Path("models")
    replace: bool = False
    weights: Path | None = None


def release(training: Path, wanted: Wanted) -> Exported:
    """Export the training in a folder, or the champion of a search in a folder, with its model card.

    The version appears only when it has been checked and is complete. Raises the errors of `publish`.
    """
    folder = training
    if not (folder / learned.RECORD_FILE).exists() and (folder / CHAMPION_FOLDER).is_dir():
        folder = folder / CHAMPION_FOLDER
    found = learned.load(folder)
    version = next_version(wanted.out / wanted.name) if wanted.version is None else wanted.version
    weights = wanted.weights or weights_folder.random_beside(folder)
    files = weights_folder.files_for(weights, found.architecture)
    origin = Origin(wanted.name, version, _command(training, wanted, version), _weights(files, wanted))

    def write_card(staging: Path, exported: Exported) -> None:
        _write_card(staging, exported, found, folder, origin)

    return export_training(found, wanted.name, Place(wanted.out, version, wanted.replace, write_card), files)


def _write_card(staging: Path, exported: Exported, training: Training, folder: Path, origin: Origin) -> None:
    card = model_card.render(training, figures.collect(training, folder), origin, exported)
    (staging / CARD_FILE).write_text(card, encoding="utf-8")


def _command(training: Path, wanted: Wanted, version: int) -> str:
    words = ["imageclassifier-training", "export", shown(training), "--name", wanted.name]
    words += ["--version", str(version), "--out", shown(wanted.out)]
    words += ["--weights", shown(wanted.weights)] if wanted.weights else []
    return shlex.join(words)


def _weights(files: dict[str, Path], wanted: Wanted) -> str:
    """Say where the weights of these backbones came from, if they were not downloaded."""
    if not files:
        return ""
    names = ", ".join(files)
    if wanted.weights is None:
        return (
            f"The weights of {names} are **random** (`search --random-weights`). The figures above say "
            "nothing about the network with its ImageNet weights."
        )
    given = ", ".join(shown(each.name) for each in files.values())
    return (
        f"The weights of {names} were given as files ({given}). That they are the published ones was not "
        "checked."
    )
