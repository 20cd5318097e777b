"""What `search`, `leaderboard` and `champion` share: their options, and the table of trainings."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from ..errors import TrainingError
from ..words import counted
from . import _arguments as arguments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..comparing.leaderboard import Row
    from ..comparing.runs import Found

_SHOWN_ROWS = 20
#: The names of trainings get what the other columns leave of the terminal, and at least this many characters.
_NAME, _OTHER_COLUMNS = 26, 76


def add_arguments(command: Any) -> None:
    """Declare the trainings and the options of `leaderboard` and `champion`."""
    command.add_argument(
        "runs",
        type=Path,
        nargs="+",
        metavar="RUNS",
        help="folder that `search --out` or `train --out` wrote, or a folder of such folders",
    )
    add_metric(command)
    command.add_argument(
        "--weights",
        type=Path,
        metavar="DIR",
        help=f"{arguments.WEIGHTS_FOLDER_HELP}: the networks are built to measure their milliseconds "
        "(default: RUNS/weights, if it exists)",
    )


def add_metric(group: Any) -> None:
    """Declare `--metric`."""
    group.add_argument(
        "--metric",
        choices=("log_loss", "accuracy"),
        default="log_loss",
        help="metric that ranks; log_loss also counts how sure each prediction is, so it needs fewer images "
        "(default: log_loss)",
    )


def find(options: argparse.Namespace) -> Found:
    """Read the trainings, and print which ones are left out."""
    from ..comparing import runs

    if missing := [str(each) for each in options.runs if not each.is_dir()]:
        raise TrainingError(f"{', '.join(missing)} is not a folder. Give folders of trainings.")
    return runs.find(options.runs)


def table(rows: Sequence[Row], metric: str, champion: str) -> Table:
    """The leaderboard for the terminal."""
    trainings, images = counted(len(rows), "training"), counted(len(rows[0].run.labels), "image")
    title = f"{trainings} on {images}, 95 % intervals"
    shown = Table(title=title, title_justify="left")
    shown.add_column("", justify="right")
    shown.add_column("training", overflow="fold", min_width=_NAME)
    shown.add_column("accuracy", justify="right")
    shown.add_column("log loss", justify="right")
    shown.add_column(f"{metric.replace('_', ' ')} behind the best", justify="right")
    shown.add_column("ms", justify="right")
    shown.add_column("MB", justify="right")
    width = max(_NAME, arguments.out.width - _OTHER_COLUMNS)
    for row in rows[:_SHOWN_ROWS]:
        low, high = row.accuracy_interval
        behind = row.behind(metric)
        scale, digits = (1, 4) if metric == "log_loss" else (100, 2)
        ends = " to ".join(f"{scale * each:+.{digits}f}" for each in behind.interval)
        shown.add_row(
            str(row.place),
            folded(row.run.name, width) + (" (champion)" if row.run.name == champion else ""),
            f"{100 * row.accuracy:.2f} % ({100 * low:.1f} to {100 * high:.1f})",
            f"{row.log_loss.mean:.4f}",
            "best" if row.place == 1 else f"{scale * behind.mean:+.{digits}f} ({ends})",
            f"{row.cost.milliseconds:.1f}" if row.cost else "n/a",
            f"{row.cost.megabytes:.1f}" if row.cost else "n/a",
        )
    if len(rows) > _SHOWN_ROWS:
        shown.add_row("", f"{len(rows) - _SHOWN_ROWS} more", "", "", "", "", "")
    return shown


def folded(name: str, width: int) -> str:
    """A long name on several lines, each of which ends after a separator if one is near enough."""
    lines = [""]
    for part in re.findall(r"[^/_@+-]*[/_@+-]*", name):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)
