"""`imageclassifier-training champion`: chooses the cheapest training that is not worse than the best one."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import TrainingError
from ..files import shown
from ..progress import ProgressDisplay
from . import _arguments as arguments
from . import _comparison as comparison
from . import _data as data_options

if TYPE_CHECKING:
    from ..comparing.champion import Champion, Nested
    from ..comparing.costs import Cost
    from ..comparing.runs import Found, Run

_EXAMPLES = """\
  imageclassifier-training champion runs/search
  imageclassifier-training champion runs/search --data photos
  imageclassifier-training export runs/search --name pizza-model
"""
_MORE = """\
It copies the champion to RUNS/champion, where `export RUNS` finds it. The rule is
written below."""
_RULE = """\
the rule:
  A training is not worse than the best one if its metric is worse by at most one standard error of the
  differences, image by image. The champion is the one of these that takes the fewest milliseconds per image.
  Among equally fast ones it is the smallest, then the one with the better metric.
  The printed figures judge this rule, not one training: for each fold, the rule chooses by the predictions
  for the other folds, and the chosen training is measured on this fold. With --data, the choice knows no
  image of the fold at all, because all trainings are fitted again without it (with 5 folds, 10 times each).
"""


def add_parser(subparsers: Any) -> None:
    """Declare the command and its arguments."""
    command = arguments.declare(
        subparsers,
        "champion",
        run,
        "choose the cheapest training not worse than the best one",
        f"{_EXAMPLES}\n{_RULE}",
        _MORE,
    )
    comparison.add_arguments(command)
    command.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder to which the champion is copied (default: champion in the first RUNS)",
    )
    nested = command.add_argument_group("full nested cross-validation (only with --data)")
    nested.add_argument(
        "--data",
        type=Path,
        metavar="DATA",
        help="images of the trainings, to fit them again; takes about twice the time of the trainings",
    )
    arguments.add_cache(nested)
    data_options.add_arguments(nested)


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
    if options.data:
        chosen = replace(chosen, nested=_fitted_again(options, found, costs))
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
        lines.append(_measured(chosen.run, chosen.nested))
    lines.append(f"Copied it to {shown(out)}. Next, export it:")
    lines.append(f"  imageclassifier-training export {shown(out)} --name NAME")
    for line in lines:
        arguments.out.print(line, markup=False)


def _fitted_again(options: argparse.Namespace, found: Found, costs: Mapping[str, Cost]) -> Nested:
    from ..comparing import costs as measuring
    from ..comparing import nested
    from ..fitting.options import Workspace
    from ..pictures import training_data

    folder = options.runs[0]
    with ProgressDisplay(arguments.err) as progress, data_options.broken_list(options) as broken:
        data = training_data.read_training_set(options.data, 0, data_options.reading(options), progress)
        broken += data.broken
        weights = measuring.weights_of(folder, found.runs, options.weights)
        workspace = Workspace(folder / nested.FOLDER, options.cache, weights, progress)
        return nested.measure(found.runs, data.training, workspace, options.metric, costs)


def _measured(run: Run, nested: Nested) -> str:
    low, high = nested.accuracy_interval
    how = (
        "by full nested cross-validation"
        if nested.refitted
        else "each fold judged by what was chosen on the other folds"
    )
    return (
        f"Accuracy of the choice, {how}: {100 * nested.accuracy:.2f} % ({100 * low:.1f} to "
        f"{100 * high:.1f}), log loss {nested.log_loss.mean:.4f}. The champion's own figures, which have "
        f"some luck in them: {100 * run.correct.mean():.2f} %, {run.losses.mean():.4f}."
    )


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
