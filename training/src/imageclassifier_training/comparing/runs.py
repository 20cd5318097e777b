"""Reads finished trainings from disk: their out-of-fold predictions and how they were made."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import TrainingError
from ..files import shown
from ..fitting import cross_validation_results
from ..fitting.cross_validation_results import OUT_OF_FOLD_FILE
from ..judging.metrics import log_losses
from ..judging.operating_point import cross_fitted
from ..judging.threshold_rule import ThresholdRule
from ..networks.architecture import Architecture
from ..networks.learned import RECORD_FILE, SCHEMA
from ..words import counted

#: The folder of a search in which its trials lie.
TRIALS_FOLDER = "trials"
CHAMPION_FILE = "champion.json"


@dataclass(frozen=True)
class Run:
    """A finished training, and what it predicted out of fold for each image, in the order of `digests`.

    `losses` are the log losses (nats) and `correct` the shares of right predictions, both `(n,)` and the mean
    of all repeats. `first_losses` and `first_correct` are those of the first repeat, whose folds are `folds`.
    """

    name: str
    folder: Path
    architecture: Architecture
    settings: str
    class_names: tuple[str, ...]
    data_digest: str
    seconds: float
    digests: tuple[str, ...]
    labels: NDArray[np.int64]
    folds: NDArray[np.int64]
    losses: NDArray[np.float64]
    correct: NDArray[np.float64]
    first_losses: NDArray[np.float64]
    first_correct: NDArray[np.float64]


@dataclass(frozen=True)
class Found:
    """The trainings below a folder, and a sentence about each one that cannot be compared."""

    runs: tuple[Run, ...]
    notes: tuple[str, ...]


def find(folders: list[Path]) -> Found:
    """Read all finished trainings in these folders and below them.

    Trainings on other images than most are left out with a note. Raises TrainingError if none is left.
    """
    runs, notes = [], []
    for root, folder in _folders(folders):
        try:
            runs.append(_read(root, folder))
        except (TrainingError, OSError, ValueError, KeyError) as error:
            notes.append(f"{shown(folder)} is left out: {_reason(error)}")
    if not runs:
        where = ", ".join(shown(each) for each in folders)
        raise TrainingError(
            " ".join(
                [
                    f"No finished training with a cross-validation was found in {where}.",
                    *notes,
                    "Give folders that `train --out` or `search --out` wrote.",
                ]
            )
        )
    by_data: dict[str, list[Run]] = {}
    for run in runs:
        by_data.setdefault(run.data_digest, []).append(run)
    most = max(by_data.values(), key=len)
    notes += [
        f"{shown(run.folder)} is left out: it was trained on other images than {shown(most[0].folder)}. "
        "Compare trainings on the same images."
        for run in runs
        if run.data_digest != most[0].data_digest
    ]
    return Found(tuple(_with_unique_names(most)), tuple(notes))


def same_folds(runs: tuple[Run, ...]) -> bool:
    """Whether all trainings were cross-validated on the same folds."""
    return all(np.array_equal(run.folds, runs[0].folds) for run in runs)


def _folders(roots: list[Path]) -> Iterator[tuple[Path, Path]]:
    seen = set()
    for root in roots:
        for record in sorted(root.rglob(RECORD_FILE)):
            # The champion is a copy of one of the others.
            if record.parent.resolve() not in seen and not (record.parent / CHAMPION_FILE).exists():
                seen.add(record.parent.resolve())
                yield root, record.parent


def _with_unique_names(runs: list[Run]) -> list[Run]:
    counts = Counter(run.name for run in runs)
    return [run if counts[run.name] == 1 else replace(run, name=shown(run.folder)) for run in runs]


def _name(root: Path, folder: Path) -> str:
    """The path of a training below its root, without the folder of the trials of a search."""
    parts = [part for part in folder.relative_to(root).parts if part != TRIALS_FOLDER]
    return shown("/".join(parts) or folder.name)


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return f"it has no {Path(error.filename).name}. Train it with --folds 2 or more."
    return str(error)


def _read(root: Path, folder: Path) -> Run:
    document = json.loads((folder / RECORD_FILE).read_bytes())
    if document.get("schema") != SCHEMA:
        raise TrainingError(f"{RECORD_FILE} has schema {document.get('schema')!r}, not {SCHEMA}.")
    names = tuple(each["name"] for each in document["classes"])
    options = document["record"]["options"]
    kept = cross_validation_results.read(folder / OUT_OF_FOLD_FILE, names, document["record"]["temperature"])
    predictions = kept.predictions
    judged = cross_fitted(
        predictions, ThresholdRule.recorded(options["threshold"]), calibrate=options["calibrate"]
    )
    losses = [log_losses(probabilities, predictions.labels) for probabilities, _ in judged]
    correct = [(predicted == predictions.labels).astype(float) for _, predicted in judged]
    return Run(
        name=_name(root, folder),
        folder=folder,
        architecture=Architecture.from_dict(document["network"]),
        settings=describe(options),
        class_names=names,
        data_digest=document["data_digest"],
        seconds=document["record"]["seconds"],
        digests=kept.digests,
        labels=predictions.labels,
        folds=predictions.folds[0],
        losses=np.mean(losses, axis=0),
        correct=np.mean(correct, axis=0),
        first_losses=losses[0],
        first_correct=correct[0],
    )


def describe(options: Mapping[str, Any]) -> str:
    """Describe in a few words the options of a training, without its architecture."""
    views = options["views"]
    words = [counted(views, "view")]
    if not options["balanced"]:
        words.append("no class weights")
    if tuning := options["fine_tuning"]:
        words.append(f"{tuned_blocks(tuning['blocks'])} fine-tuned, rate {tuning['learning_rate']:g}")
    return ", ".join(words)


def tuned_blocks(count: int | None) -> str:
    """Say how many blocks of a backbone are fine-tuned; None is all."""
    if count is None:
        return "all blocks"
    return "the last block" if count == 1 else f"the last {counted(count, 'block')}"
