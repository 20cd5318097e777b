"""Releases a training as a model version: exports it, and writes its other formats and its model card."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from ..comparing.crowning import CHAMPION_FOLDER
from ..errors import ModelError, TrainingError
from ..exporting import saved_model
from ..exporting.export import Exported, Place, export_training, next_version
from ..files import shown
from ..fitting import cross_validation_results
from ..fitting.cross_validation_results import OUT_OF_FOLD_FILE
from ..networks import learned, weights_folder
from ..networks.learned import Training
from ..progress import Progress, no_progress
from ..words import counted
from . import figures, model_card, strangers
from .formats import comparison, images
from .formats.comparison import Compared
from .formats.table import format_of
from .model_card import CARD_FILE, Origin
from .version import Version


@dataclass(frozen=True)
class Released:
    """A published version: its folder, what its check measured, its other formats, and notes about them."""

    exported: Exported
    formats: tuple[Compared, ...]
    notes: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """The folder of the version."""
        return self.exported.folder


def release(training: Path, wanted: Version, progress: Progress = no_progress) -> Released:
    """Export the training in a folder, or the champion of a search in a folder, with its model card.

    The version appears only when it has been checked and is complete. Raises the errors of `publish`, and
    those of the formats.
    """
    folder = _chosen(training)
    found = learned.load(folder)
    formats = [format_of(name) for name in wanted.formats]
    files, notes = _training_images(found, folder, wanted) if formats else ([], ())
    out = Path(wanted.out)
    number = next_version(out / wanted.name) if wanted.number is None else wanted.number
    given = Path(wanted.weights) if wanted.weights else weights_folder.random_beside(folder)
    weights = weights_folder.files_for(given, found.architecture)
    origin = Origin(wanted.name, number, _command(training, wanted, number), _weights(weights, wanted))
    compared: list[Compared] = []

    def complete(staging: Path, exported: Exported) -> None:
        served = saved_model.load(staging)
        if formats:
            compared.extend(comparison.write(served, formats, files, progress))
        made = model_card.Made(exported, compared, served.contract.familiarity, strangers.measure(served))
        card = model_card.render(found, figures.collect(found, folder), origin, made)
        (staging / CARD_FILE).write_text(card, encoding="utf-8")

    place = Place(out, number, wanted.replace, complete)
    try:
        exported = export_training(found, wanted.name, place, weights)
    except ModelError as error:
        raise ModelError(" ".join([str(error), *notes])) from error
    return Released(exported, tuple(compared), notes)


def _chosen(folder: Path) -> Path:
    """The folder of a training: this one, or that of its champion."""
    if (folder / learned.RECORD_FILE).exists():
        return folder
    if (folder / CHAMPION_FOLDER).is_dir():
        return folder / CHAMPION_FOLDER
    if next(folder.rglob(learned.RECORD_FILE), None):
        raise TrainingError(
            f"{shown(folder)} holds several trainings, and no champion was chosen. Run "
            f"`imageclassifier-training champion {shown(folder)}`, or give the folder of one training."
        )
    return folder


def _training_images(training: Training, folder: Path, wanted: Version) -> tuple[list[Path], tuple[str, ...]]:
    try:
        kept = cross_validation_results.kept_by(training, folder)
    except FileNotFoundError:
        raise TrainingError(
            f"Other formats are compared with the SavedModel on the images of the cross-validation, but "
            f"{shown(folder)} has no {OUT_OF_FOLD_FILE}. Train with --folds 2 or more, or remove --formats."
        ) from None
    files = images.find(kept, Path(wanted.pictures) if wanted.pictures else None)
    most = min(images.MOST, len(set(kept.digests)))
    if len(files) == most:
        return files, ()
    note = (
        f"Only {len(files):,} of {counted(most, 'training image')} could be found, so the comparison of the "
        "formats says less. Give the folder of all training images with --pictures."
    )
    return files, (note,)


def _command(training: Path, wanted: Version, number: int) -> str:
    words = ["imageclassifier-training", "export", shown(training), "--name", wanted.name]
    words += ["--version", str(number), "--out", shown(wanted.out)]
    words += ["--weights", shown(wanted.weights)] if wanted.weights else []
    words += ["--formats", ",".join(wanted.formats)] if wanted.formats else []
    words += ["--pictures", shown(wanted.pictures)] if wanted.pictures else []
    return shlex.join(words)


def _weights(files: dict[str, Path], wanted: Version) -> str:
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
