"""Renders a leaderboard: as CSV, as JSON values, and as one HTML file."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..judging import report
from .leaderboard import Row
from .scatter import scatter

_COLUMNS = (
    "place",
    "run",
    "network",
    "settings",
    "accuracy",
    "accuracy_low",
    "accuracy_high",
    "log_loss",
    "log_loss_low",
    "log_loss_high",
    "behind_accuracy",
    "behind_accuracy_low",
    "behind_accuracy_high",
    "behind_log_loss",
    "behind_log_loss_low",
    "behind_log_loss_high",
    "milliseconds_per_image",
    "megabytes",
    "training_seconds",
)


@dataclass(frozen=True)
class Page:
    """What the report says around the rows: the metric that ranks, notes, and the name of the champion.

    Without the costs of all trainings there is no champion; its name is then empty.
    """

    metric: str
    champion: str
    notes: tuple[str, ...]
    same_folds: bool


@dataclass(frozen=True)
class Whisker:
    """An interval as shares of the width of its column: both ends, the estimate, and where zero is."""

    low: float
    high: float
    mean: float
    zero: float


def to_dict(row: Row) -> dict[str, Any]:
    """A row as JSON values, with the columns of the CSV file."""
    values = [
        row.place,
        row.run.name,
        str(row.run.architecture),
        row.run.settings,
        row.accuracy,
        *row.accuracy_interval,
        row.log_loss.mean,
        *row.log_loss.interval,
        row.behind_accuracy.mean,
        *row.behind_accuracy.interval,
        row.behind_log_loss.mean,
        *row.behind_log_loss.interval,
        row.cost.milliseconds if row.cost else None,
        row.cost.megabytes if row.cost else None,
        row.run.seconds,
    ]
    return dict(zip(_COLUMNS, values, strict=True))


def to_csv(rows: Sequence[Row]) -> str:
    """The leaderboard as CSV, a line for each training."""
    text = io.StringIO()
    table = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    table.writeheader()
    for row in rows:
        table.writerow(
            {
                name: f"{value:.6g}" if isinstance(value, float) else value
                for name, value in to_dict(row).items()
            }
        )
    return text.getvalue()


def render(rows: Sequence[Row], page: Page) -> str:
    """Render the leaderboard as one HTML document."""
    environment = report.environment(__package__ or "")
    return environment.get_template("leaderboard.html.j2").render(
        rows=list(zip(rows, whiskers(rows, page.metric), strict=True)),
        page=page,
        images=len(rows[0].run.labels),
        champion=next((row for row in rows if row.run.name == page.champion), None),
        plot=scatter(rows),
    )


def whiskers(rows: Sequence[Row], metric: str) -> list[Whisker]:
    """The intervals of the differences to the best training, all on one scale."""
    ends = [row.behind(metric).interval for row in rows]
    low, high = min(0.0, *(each[0] for each in ends)), max(0.0, *(each[1] for each in ends))
    width = (high - low) or 1.0
    return [
        Whisker(
            (interval[0] - low) / width,
            (interval[1] - low) / width,
            (row.behind(metric).mean - low) / width,
            -low / width,
        )
        for row, interval in zip(rows, ends, strict=True)
    ]
