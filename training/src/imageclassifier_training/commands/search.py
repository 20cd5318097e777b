"""`imageclassifier-training search`: tries many trainings within a time, and shows their leaderboard."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import TrainingError
from ..files import shown
from ..searching.space import DEFAULT_BACKBONES
from . import _arguments as arguments
from . import _comparison as comparison
from . import _data as data_options
from . import _search_options as search_options
from ._search_display import SearchDisplay

if TYPE_CHECKING:
    from ..pictures.dataset import Dataset
    from ..progress import Progress
    from ..searching.search import Outcome

_EXAMPLES = f"""\
  imageclassifier-training search photos --minutes 60 --out runs/search
  imageclassifier-training search photos --minutes 10 --out runs/quick --blocks none --views 1,2
  imageclassifier-training search photos --minutes 600 --out runs/large --weights keras-weights \\
      --backbones xception,inception_v3,vgg16,efficientnet_b3,efficientnet_b5@300
  imageclassifier-training champion runs/search

how it works:
  A trial trains one setting: backbone, input size, aspect ratio, views, class weights or not, fine-tuned
  blocks, and learning rate. Optuna proposes the settings. A trial has levels: the head on a third of the
  images (if there are 300 or more), the head on all images, fine-tuning for one fold, fine-tuning for all
  folds. It continues only while its figure is in the best third of its level. All trials have the same folds,
  and features are computed once. To continue a search, also after a kill, run the same command again.
  At the end, --out holds leaderboard.html and leaderboard.csv. `tensorboard --logdir OUT/logs` shows the
  trials while they run.

defaults:
  --backbones {",".join(DEFAULT_BACKBONES)}
"""


def add_parser(subparsers: Any) -> None:
    """Declare the command and its arguments."""
    command = arguments.declare(
        subparsers, "search", run, "try many trainings within a time, and rank them", _EXAMPLES
    )
    command.add_argument("data_dir", type=Path, metavar="DATA", help=arguments.DATA_DIR_HELP)
    command.add_argument(
        "--minutes",
        type=search_options.minutes,
        required=True,
        metavar="N",
        help="minutes for the trials of this call; at least one trial is finished (required)",
    )
    command.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder for the trials, their journal and logs (required)",
    )
    arguments.add_cache(command)
    command.add_argument("--seed", type=int, default=0, metavar="N", help="random seed (default: 0)")
    data_options.add_arguments(command.add_argument_group("which images are used"))
    search_options.add_space(command.add_argument_group("what is tried (values with commas between them)"))
    measuring = command.add_argument_group("evaluation")
    measuring.add_argument(
        "--folds",
        type=arguments.at_least_two,
        default=5,
        metavar="N",
        help="number of folds of the cross-validation, the same for all trials (default: 5)",
    )
    comparison.add_metric(measuring)


def run(options: argparse.Namespace) -> None:
    """Search until the time is over, and show the leaderboard."""
    with SearchDisplay(arguments.err) as display:
        dataset = _read(options, display.progress)
        outcome = _search(options, dataset, display)
    if not outcome.finished:
        raise TrainingError(" ".join(["No trial could be finished.", *outcome.problems[:3]]))
    end = "All settings were tried." if outcome.exhausted else "The time is over."
    arguments.out.print(
        f"{end} Finished trials: {outcome.finished}, stopped early: {outcome.stopped}.",
        markup=False,
    )
    data_options.print_notes(outcome.problems)
    _show(options)


def _read(options: argparse.Namespace, progress: Progress) -> Dataset:
    from ..pictures import training_data

    with data_options.broken_list(options) as broken:
        data = training_data.read_training_set(
            options.data_dir, options.folds, data_options.reading(options), progress
        )
        broken += data.broken
    data_options.print_notes(data.notes)
    return data.training


def _search(options: argparse.Namespace, dataset: Dataset, display: SearchDisplay) -> Outcome:
    from ..fitting.options import Workspace
    from ..searching import backbone_weights
    from ..searching.search import Search
    from ..searching.space import Plan, Space, class_weights

    plan = Plan(
        Space(
            options.backbones,
            options.fits,
            options.views,
            _class_weights(options.class_weights) or class_weights(dataset.counts()),
            options.blocks,
            options.learning_rates,
        ),
        folds=options.folds,
        seed=options.seed,
        metric=options.metric,
        epochs=options.epochs,
    )
    weights = backbone_weights.provide(plan, options.out, options.weights, random=options.random_weights)
    workspace = Workspace(options.out, options.cache, weights, display.progress)
    return Search(dataset, plan, workspace, options.minutes, display.told).run()


def _class_weights(given: tuple[str, ...] | None) -> tuple[bool, ...]:
    return tuple(each == "yes" for each in given or ())


def _show(options: argparse.Namespace) -> None:
    from ..comparing import runs
    from . import leaderboard

    options.html, options.csv = options.out / "leaderboard.html", options.out / "leaderboard.csv"
    leaderboard.show(runs.find([options.out]), options, options.out)
    arguments.out.print("Next, choose the champion:")
    arguments.out.print(f"  imageclassifier-training champion {shown(options.out)}", markup=False)
