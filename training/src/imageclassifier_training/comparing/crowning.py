"""Copies the champion into a folder of its own, with the figures of the choice."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..files import write_atomically
from ..fitting.cross_validation_results import OUT_OF_FOLD_FILE
from ..networks import learned
from .champion import Champion
from .costs import Cost
from .runs import CHAMPION_FILE

CHAMPION_FOLDER = "champion"
#: Its key in the metrics of the champion, which the exported model carries.
NESTED = "choice_by_other_folds"


def crown(chosen: Champion, metric: str, costs: Mapping[str, Cost], out: Path) -> None:
    """Write the champion's training to `out`, where `export` finds it; a former champion is replaced."""
    training = learned.load(chosen.run.folder)
    if chosen.nested is not None:
        nested: dict[str, Any] = {
            "accuracy": chosen.nested.accuracy,
            "accuracy_interval": list(chosen.nested.accuracy_interval),
            "log_loss": chosen.nested.log_loss.mean,
            "chosen_by_fold": list(chosen.nested.chosen),
            "refitted": chosen.nested.refitted,
        }
        training = replace(training, metrics={**training.metrics, NESTED: nested})
    out.mkdir(parents=True, exist_ok=True)
    cost = costs[chosen.run.name]
    document = {
        "training": chosen.run.name,
        "metric": metric,
        "best": chosen.best.name,
        "not_worse": list(chosen.not_worse),
        "milliseconds_per_image": cost.milliseconds,
        "megabytes": cost.megabytes,
    }
    # First the mark that this is a copy: a killed run must not leave a second training of the same name.
    write_atomically(out / CHAMPION_FILE, (json.dumps(document, indent=1) + "\n").encode())
    shutil.copyfile(chosen.run.folder / OUT_OF_FOLD_FILE, out / OUT_OF_FOLD_FILE)
    training.save(out)
