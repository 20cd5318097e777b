"""Measures what a trained network costs when it serves: milliseconds per image, and megabytes on disk.

A network is exported to a temporary folder and timed in a fresh process on one core. The cost depends on the
architecture and the number of classes, not on the weights, so it is measured once for each and kept.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import TrainingError, WeightsUnavailable
from ..exporting.export import Place, export_training
from ..files import write_atomically
from ..networks import learned, weights_folder
from ..networks.backbones import backbone
from ..progress import Progress, no_progress
from ..words import counted
from .runs import Run

COSTS_FILE = "costs.json"


@dataclass(frozen=True)
class Cost:
    """Milliseconds per image on one core, and the megabytes of the exported model."""

    milliseconds: float
    megabytes: float


@dataclass(frozen=True)
class Costs:
    """The cost of each training by its name, and a problem for each network that cannot be built here."""

    by_name: dict[str, Cost]
    problems: tuple[TrainingError, ...] = ()

    def complete(self) -> dict[str, Cost]:
        """The cost of each training. Raises the first problem if there is one."""
        if self.problems:
            raise self.problems[0]
        return self.by_name


def measure_in(
    folder: Path, runs: Sequence[Run], weights: Path | None = None, progress: Progress = no_progress
) -> Costs:
    """Return the costs of trainings in a folder, which keeps them for the next time.

    `weights` as for `weights_of`.
    """
    return measure(runs, folder / COSTS_FILE, weights_of(folder, runs, weights), progress)


def weights_of(folder: Path, runs: Sequence[Run], weights: Path | None = None) -> dict[str, Path]:
    """The weights files of the backbones of trainings in a folder, by backbone name.

    `weights` is a folder with the weights of backbones that are not installed (default: the random ones that
    a search in this folder wrote).
    """
    beside = folder / weights_folder.RANDOM_WEIGHTS
    files: dict[str, Path] = {}
    for name in sorted({branch.backbone for run in runs for branch in run.architecture.branches}):
        if not backbone(name).downloads:
            continue
        if weights is not None:
            files |= weights_folder.find(weights, [name])
        elif beside.is_dir():
            with suppress(WeightsUnavailable):  # a training of another search
                files |= weights_folder.find(beside, [name])
    return files


def measure(
    runs: Sequence[Run],
    file: Path,
    weights: Mapping[str, Path] | None = None,
    progress: Progress = no_progress,
) -> Costs:
    """Return the costs of trainings.

    `file` keeps the costs. Those that it lacks are measured and added.

    `weights` are weights files by backbone name, as for `network.build`.
    """
    known = _load(file)
    kinds: dict[str, Run] = {}
    for run in runs:
        kinds.setdefault(_kind(run), run)
    missing = [kind for kind in kinds if kind not in known]
    problems = []
    before = len(kinds) - len(missing)
    progress("Measure the exported networks", before, len(kinds))
    for done, kind in enumerate(missing, start=before + 1):
        try:
            known[kind] = _measure(kinds[kind].folder, weights or {})
        except TrainingError as error:  # without its weights, for example
            problems.append(error)
            continue
        document = {each: asdict(cost) for each, cost in known.items()}
        write_atomically(file, (json.dumps(document, indent=1) + "\n").encode())
        progress("Measure the exported networks", done, len(kinds))
    by_name = {run.name: known[_kind(run)] for run in runs if _kind(run) in known}
    return Costs(by_name, tuple(problems))


def _measure(folder: Path, weights: Mapping[str, Path]) -> Cost:
    with tempfile.TemporaryDirectory(prefix="imageclassifier-") as out:
        exported = export_training(learned.load(folder), "measured", Place(Path(out), 1), dict(weights))
    return Cost(round(exported.milliseconds_per_picture, 2), round(exported.size_bytes / 1e6, 2))


def _kind(run: Run) -> str:
    architecture = run.architecture
    classes = counted(len(run.class_names), "class", "classes")
    return f"{architecture}, {architecture.fit}, {architecture.resize}, {classes}"


def _load(file: Path) -> dict[str, Cost]:
    try:
        return {kind: Cost(**cost) for kind, cost in json.loads(file.read_bytes()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}  # missing or damaged: measured again
