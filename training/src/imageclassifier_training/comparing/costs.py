"""Measures what a trained network costs when it serves: milliseconds per image, and megabytes on disk.

A network is exported to a temporary folder and timed in a fresh process on one core. The cost depends on the
architecture and the number of classes, not on the weights, so it is measured once for each and kept.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ..exporting.export import export_training
from ..files import write_atomically
from ..networks import learned
from ..progress import Progress, no_progress
from .runs import Run

COSTS_FILE = "costs.json"


@dataclass(frozen=True)
class Cost:
    """Milliseconds per image on one core, and the megabytes of the exported model."""

    milliseconds: float
    megabytes: float


def measure(
    runs: Sequence[Run],
    file: Path,
    weights: Mapping[str, Path] | None = None,
    progress: Progress = no_progress,
) -> dict[str, Cost]:
    """Return the cost of each training by its name.

    `file` keeps the costs. Those that it lacks are measured and added.

    `weights` are weights files by backbone name, as for `network.build`.
    """
    known = _load(file)
    kinds: dict[str, Run] = {}
    for run in runs:
        kinds.setdefault(_kind(run), run)
    missing = [kind for kind in kinds if kind not in known]
    for done, kind in enumerate(missing, start=1):
        known[kind] = _measure(kinds[kind].folder, weights or {})
        document = {each: asdict(cost) for each, cost in known.items()}
        write_atomically(file, (json.dumps(document, indent=1) + "\n").encode())
        progress("Measure the exported networks", done, len(missing))
    return {run.name: known[_kind(run)] for run in runs}


def _measure(folder: Path, weights: Mapping[str, Path]) -> Cost:
    with tempfile.TemporaryDirectory(prefix="imageclassifier-") as out:
        exported = export_training(learned.load(folder), "measured", 1, Path(out), weights=dict(weights))
    return Cost(round(exported.milliseconds_per_picture, 2), round(exported.size_bytes / 1e6, 2))


def _kind(run: Run) -> str:
    architecture = run.architecture
    return f"{architecture}, {architecture.fit}, {architecture.resize}, {len(run.class_names)} classes"


def _load(file: Path) -> dict[str, Cost]:
    try:
        return {kind: Cost(**cost) for kind, cost in json.loads(file.read_bytes()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}  # missing or damaged: measured again
