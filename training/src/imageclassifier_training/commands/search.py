"""`imageclassifier-training search`: tries many trainings within a time, and shows their leaderboard."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import TrainingError, WeightsUnavailable
from ..files import shown
from ..networks import weights_folder
from ..networks.architecture import Architecture, Branch
from ..networks.backbones import BACKBONES
from . import _arguments as arguments
from . import _comparison as comparison
from . import _data as data_options
from ._search_display import SearchDisplay

if TYPE_CHECKING:
    from ..pictures.dataset import Dataset
    from ..progress import Progress
    from ..searching.search import Outcome
    from ..searching.space import Plan

_DEFAULT = (
    "efficientnet_lite0@224",
    "efficientnet_lite1@240",
    "efficientnet_lite2@260",
    "efficientnet_lite1@300",
    "efficientnet_lite2@300",
)
#: Class weights change little if no class has more than this many times the images of another.
_BALANCED = 1.1
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

defaults:
  --backbones {",".join(_DEFAULT)}
"""


def add_parser(subparsers: Any) -> None:
    """Declare the command and its arguments."""
    command = arguments.declare(
        subparsers, "search", run, "try many trainings within a time, and rank them", _EXAMPLES
    )
    command.add_argument("data_dir", type=Path, metavar="DATA", help=arguments.DATA_DIR_HELP)
    command.add_argument(
        "--minutes",
        type=_minutes,
        required=True,
        metavar="N",
        help="minutes for the trials of this call; at least one trial is finished (required)",
    )
    command.add_argument(
        "--out", type=Path, required=True, help="folder for the trials, their journal and logs (required)"
    )
    arguments.add_cache(command)
    command.add_argument("--seed", type=int, default=0, metavar="N", help="random seed (default: 0)")
    data_options.add_arguments(command.add_argument_group("which images are used"))
    _add_space(command.add_argument_group("what is tried (values with commas between them)"))
    measuring = command.add_argument_group("evaluation")
    measuring.add_argument(
        "--folds",
        type=arguments.at_least_two,
        default=5,
        metavar="N",
        help="number of folds of the cross-validation, the same for all trials (default: 5)",
    )
    comparison.add_metric(measuring)


def _add_space(group: Any) -> None:
    group.add_argument(
        "--backbones",
        type=_backbones,
        default=",".join(_DEFAULT),
        metavar="NAME[@PIXELS],...",
        help=f"backbones, each with the side of its input in pixels. NAME is one of {', '.join(BACKBONES)}; "
        "join several with + to use their features side by side (default: see below)",
    )
    group.add_argument(
        "--fits",
        type=_chosen_from("squash", "crop", "pad"),
        default="squash,crop",
        metavar="FIT,...",
        help="what to do if the aspect ratio differs: squash, crop or pad (default: squash,crop)",
    )
    group.add_argument(
        "--views",
        type=_integers,
        default="2,1,4",
        metavar="N,...",
        help="numbers of augmented views per picture: 1 = original, 2 = plus mirrored, 3 or more = plus "
        "random crops (default: 2,1,4)",
    )
    group.add_argument(
        "--class-weights",
        type=_chosen_from("yes", "no"),
        metavar="yes,no",
        help="whether images of rare classes weigh more (default: yes,no if the largest class has more "
        "than 1.1 times the images of the smallest; else yes)",
    )
    group.add_argument(
        "--blocks",
        type=_blocks,
        default="none,1,2,4",
        metavar="N,...",
        help="numbers of blocks to fine-tune at the end of the backbone, 'all', or 'none' for the head only "
        "(default: none,1,2,4)",
    )
    group.add_argument(
        "--learning-rates",
        type=_rates,
        default="1e-5,3e-5,1e-4",
        metavar="RATE,...",
        help="peak learning rates of fine-tuning (default: 1e-5,3e-5,1e-4)",
    )
    arguments.add_epochs(group, " of fine-tuning")
    weights = group.add_mutually_exclusive_group()
    weights.add_argument(
        "--weights",
        type=Path,
        metavar="DIR",
        help=arguments.WEIGHTS_FOLDER_HELP,
    )
    weights.add_argument(
        "--random-weights",
        action="store_true",
        help="use random weights for the backbones of keras.applications, to try a search without their "
        "ImageNet weights; their accuracy means nothing",
    )


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
    from ..pictures.listing import Sources

    with data_options.broken_list(options) as broken:
        sources = training_data.choose(options.data_dir, None)
        data = training_data.read(
            Sources(sources.training), options.folds, data_options.reading(options), progress
        )
        broken += data.broken
    others = [each for each in (sources.validation, sources.test) if each is not None]
    data_options.print_notes(data.notes)
    data_options.print_notes(
        f"{shown(each.source)} is not used. Evaluate the exported champion on it." for each in others
    )
    return data.training


def _search(options: argparse.Namespace, dataset: Dataset, display: SearchDisplay) -> Outcome:
    from ..fitting.trainer import Workspace
    from ..searching.search import Search
    from ..searching.space import Plan, Space

    plan = Plan(
        Space(
            options.backbones,
            options.fits,
            options.views,
            _class_weights(options.class_weights, dataset),
            options.blocks,
            options.learning_rates,
        ),
        folds=options.folds,
        seed=options.seed,
        metric=options.metric,
        epochs=options.epochs,
    )
    workspace = Workspace(options.out, options.cache, _weights(options, plan), display.progress)
    return Search(dataset, plan, workspace, options.minutes, display.told).run()


def _class_weights(given: tuple[str, ...] | None, dataset: Dataset) -> tuple[bool, ...]:
    if given is not None:
        return tuple(each == "yes" for each in given)
    counts = dataset.counts().values()
    return (True, False) if max(counts) > _BALANCED * min(counts) else (True,)


def _weights(options: argparse.Namespace, plan: Plan) -> dict[str, Path]:
    """The weights files of all backbones; those that have none are downloaded now, before any training."""
    names = {
        branch.backbone
        for setting in plan.space.first()
        for branch in setting.architecture.branches
        if BACKBONES[branch.backbone].downloads
    }
    needed = sorted(names)
    if options.weights:
        return weights_folder.find(options.weights, needed)
    if options.random_weights:
        from ..networks import random_weights

        return random_weights.write(options.out / arguments.WEIGHTS_FOLDER, needed, options.seed)
    from ..networks import pretrained

    missing = []
    for name in needed:
        try:
            pretrained.build(name, BACKBONES[name].side, BACKBONES[name].side)
        except WeightsUnavailable:
            missing.append(name)
    if missing:
        raise WeightsUnavailable(
            f"The ImageNet weights of {', '.join(missing)} could not be downloaded. Give a folder with the "
            "weights files of keras.applications (without top) with --weights DIR, remove these backbones "
            "from --backbones, or try the search without ImageNet weights with --random-weights."
        )
    return {}


def _show(options: argparse.Namespace) -> None:
    from ..comparing import runs
    from . import leaderboard

    options.html, options.csv = options.out / "leaderboard.html", options.out / "leaderboard.csv"
    leaderboard.show(runs.find([options.out]), options, options.out)
    arguments.out.print("Next, choose the champion:")
    arguments.out.print(f"  imageclassifier-training champion {shown(options.out)}", markup=False)


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = math.nan
    if not 0 < minutes < math.inf:
        raise argparse.ArgumentTypeError(f"'{text}' must be a number of minutes above 0")
    return minutes


def _parts(text: str) -> list[str]:
    """The values between the commas, each once."""
    return list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def _backbones(text: str) -> tuple[str, ...]:
    found = []
    for part in _parts(text):
        try:
            found.append(str(Architecture(tuple(Branch.parse(each.strip()) for each in part.split("+")))))
        except TrainingError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
    if not found:
        raise argparse.ArgumentTypeError("give at least one backbone")
    return tuple(dict.fromkeys(each.replace(" ", "") for each in found))


def _chosen_from(*known: str) -> Any:
    def parse(text: str) -> tuple[str, ...]:
        found = _parts(text)
        if not found or (wrong := [each for each in found if each not in known]):
            raise argparse.ArgumentTypeError(f"'{text}' must have values of {', '.join(known)}")
        assert not wrong
        return tuple(found)

    return parse


def _integers(text: str) -> tuple[int, ...]:
    return tuple(arguments.positive_integer(part) for part in _parts(text) or [text])


def _blocks(text: str) -> tuple[str, ...]:
    return tuple(part if part == "none" else arguments.blocks(part) for part in _parts(text) or [text])


def _rates(text: str) -> tuple[float, ...]:
    try:
        found = [float(part) for part in _parts(text)]
    except ValueError:
        found = []
    if not found or not all(0 < each < 1 for each in found):
        raise argparse.ArgumentTypeError(f"'{text}' must have learning rates between 0 and 1")
    return tuple(found)
