"""`imageclassifier-training champion`: chooses the cheapest training that is not worse than the best one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import TrainingError
from ..files import shown
from ..progress import ProgressDisplay
from . import _arguments as arguments
from . import _comparison as comparison
from . import _data as data_options

if TYPE_CHECKING:
    from ..comparing.champion import Champion

_EXAMPLES = """\
  imageclassifier-training champion runs/search
  imageclassifier-training export runs/search --name pizza-model
"""
_RULE = """\
the rule:
  A training is not worse than the best one if its metric is worse by at most one standard error of the
  differences, image by image. The champion is the one of these that takes the fewest milliseconds per image.
  Among equally fast ones it is the smallest, then the one with the better metric.
  The printed figures judge this rule, not one training: for each fold, the rule chooses by the predictions
  for the other folds, and the chosen training is measured on this fold.
"""


def add_parser(subparsers: Any) -> None:
    """Declare the command and its arguments."""
    command = arguments.declare(
        subparsers,
        "champion",
        run,
        "choose the cheapest training that is not worse than the best one",
        f"{_EXAMPLES}\n{_RULE}",
    )
    comparison.add_arguments(command)
    command.add_argument(
        "--out",
        type=Path,
        help="folder to which the champion is copied (default: champion in the first RUNS)",
    )


def run(options: argparse.Namespace) -> None:
    """Choose the champion, and copy it into a folder that `export` takes."""
    found = comparison.find(options)
    from ..comparing import champion, crowning, runs
    from ..comparing import costs as measuring

    folder = options.runs[0]
    with ProgressDisplay(arguments.err) as progress:
        costs = measuring.measure_in(folder, found.runs, options.weights, progress).complete()
    chosen = champion.choose(found.runs, options.metric, costs)
    data_options.print_notes(found.notes)
    out = options.out or folder / crowning.CHAMPION_FOLDER
    if out.resolve() == chosen.run.folder.resolve():
        raise TrainingError(f"{shown(out)} is a training. Give another folder with --out.")
    crowning.crown(chosen, options.metric, costs, out)
    cost = costs[chosen.run.name]
    lines = [
        f"Champion: {chosen.run.name} ({chosen.run.architecture}, {chosen.run.settings}), "
        f"{cost.milliseconds:.1f} ms per image, {cost.megabytes:.1f} MB.",
        _why(chosen, options.metric),
    ]
    if chosen.nested is None:
        assert not runs.same_folds(found.runs)
        lines.append(
            "Its figures are too good, because it is the best of several: the trainings have different folds."
        )
    else:
        low, high = chosen.nested.accuracy_interval
        lines.append(
            f"Accuracy of the choice, each fold judged by what was chosen on the other folds: "
            f"{100 * chosen.nested.accuracy:.2f} % ({100 * low:.1f} to {100 * high:.1f}), log loss "
            f"{chosen.nested.log_loss.mean:.4f}. The champion's own figures, which have some luck in them: "
            f"{100 * chosen.run.correct.mean():.2f} %, {chosen.run.losses.mean():.4f}."
        )
    lines.append(f"Copied it to {shown(out)}. Next, export it:")
    lines.append(f"  imageclassifier-training export {shown(out)} --name NAME")
    for line in lines:
        arguments.out.print(line, markup=False)


def _why(chosen: Champion, metric: str) -> str:
    figure, others = metric.replace("_", " "), len(chosen.not_worse) - 1
    if chosen.run.name != chosen.best.name:
        return (
            f"It is the cheapest of {others + 1} trainings that are not worse than the best one, "
            f"{chosen.best.name}: its {figure} is worse by at most one standard error."
        )
    if others:
        return f"It has the best {figure}, and none of the {others} others that are not worse is cheaper."
    return f"It has the best {figure}, and all others are worse."
