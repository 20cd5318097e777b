"""`imageclassifier-training leaderboard`: ranks finished trainings on the same images."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files import shown, write_atomically
from ..progress import ProgressDisplay
from . import _arguments as arguments
from . import _comparison as comparison
from . import _data as data_options

if TYPE_CHECKING:
    from ..comparing.runs import Found

_EXAMPLES = """\
  imageclassifier-training leaderboard runs
  imageclassifier-training leaderboard runs/search runs/by-hand --html leaderboard.html --csv leaderboard.csv
  imageclassifier-training leaderboard runs --metric accuracy
"""
_MORE = """\
Accuracy and log loss are those of the cross-validation. Milliseconds per image on
one core and megabytes are measured once for each network, on its exported model."""


def add_parser(subparsers: Any) -> None:
    """Declare the command and its arguments."""
    command = arguments.declare(
        subparsers, "leaderboard", run, "rank finished trainings on the same images", _EXAMPLES, _MORE
    )
    comparison.add_arguments(command)
    command.add_argument(
        "--html", type=Path, metavar="FILE", help="write the leaderboard as one HTML file, with plots"
    )
    command.add_argument(
        "--csv", type=Path, metavar="FILE", help="write the leaderboard as CSV, one line per training"
    )


def run(options: argparse.Namespace) -> None:
    """Rank trainings by their out-of-fold predictions."""
    found = comparison.find(options)
    show(found, options, options.runs[0])


def show(found: Found, options: argparse.Namespace, folder: Path) -> None:
    """Print the leaderboard of the trainings and write its files; `folder` keeps what it measures."""
    from ..comparing import board, costs

    with ProgressDisplay(arguments.err) as progress:
        measured = costs.measure_in(folder, found.runs, options.weights, progress)
    shown_board = board.board(found, options.metric, measured)
    page = shown_board.page
    data_options.print_notes((*found.notes, *shown_board.problems))
    if not page.same_folds:
        data_options.print_notes(
            ["The trainings were cross-validated on different folds. Use the same --folds and --seed."]
        )
    arguments.out.print(comparison.table(shown_board.rows, options.metric, page.champion))
    for path, text in ((options.html, shown_board.html), (options.csv, shown_board.csv)):
        if path:
            write_atomically(path, text().encode("utf-8", "surrogateescape"))
            arguments.out.print(f"Wrote {shown(path)}.", markup=False)
