"""The leaderboard as a whole: the ranked trainings, the champion, and what is said about them."""

from __future__ import annotations

from dataclasses import dataclass

from . import champion, leaderboard, report
from .costs import Costs
from .leaderboard import Row
from .report import Page
from .runs import Found, same_folds


@dataclass(frozen=True)
class Board:
    """The rows, the best training first, and the page around them.

    `problems` are sentences about costs that are not known. Then there is no champion.
    """

    rows: tuple[Row, ...]
    page: Page
    problems: tuple[str, ...] = ()

    def html(self) -> str:
        """The leaderboard as one HTML document."""
        return report.render(self.rows, self.page)

    def csv(self) -> str:
        """The leaderboard as CSV, a line for each training."""
        return report.to_csv(self.rows)


def board(found: Found, metric: str, costs: Costs) -> Board:
    """Rank trainings by a metric of `leaderboard.METRICS`."""
    rows = leaderboard.rank(found.runs, metric, costs.by_name)
    name = "" if costs.problems else champion.choose(found.runs, metric, costs.by_name).run.name
    problems = tuple(
        "Milliseconds and megabytes are not known for all trainings, and without them there is no champion. "
        f"{problem}"
        for problem in costs.problems
    )
    return Board(tuple(rows), Page(metric, name, found.notes, same_folds(found.runs)), problems)
