"""`imageclassifier-training familiarity`: adds the distance from its images to a finished training."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import DataError, TrainingError
from ..files import shown
from ..networks import weights_folder
from ..progress import ProgressDisplay
from ..words import counted
from . import _arguments as arguments
from . import _data as data_options
from . import _order as order

_FOLDS = 5
_EXAMPLES = """\
  imageclassifier-training familiarity runs/first photographs
"""
_MORE = """\
`train` does this by itself. For a training that an earlier release made without
fine-tuning, this command measures how far each image is from the others, and adds
the result to RUN. The exported model then gives no label to images that are
farther from its training images than nearly all of these."""


def add_parser(subparsers: Any) -> None:
    """Declare the command and its arguments."""
    command = arguments.declare(
        subparsers,
        "familiarity",
        run,
        "let an older training recognise unfamiliar images",
        _EXAMPLES,
        _MORE,
    )
    command.add_argument("training", type=Path, metavar="RUN", help="folder that `train --out` wrote")
    command.add_argument("data_dir", type=Path, metavar="DATA", help="the images of that training")
    command.add_argument("--weights", type=Path, metavar="PATH", help=arguments.WEIGHTS_HELP)
    arguments.add_cache(command)
    data_options.add_arguments(command.add_argument_group("which images are used"))


def run(options: argparse.Namespace) -> None:
    """Measure the distances, and save them in the folder of the training; everything else stays."""
    order.check("familiarity", [options.training, options.data_dir], "RUN", _is_training)
    from ..fitting import familiarity, features
    from ..networks import learned
    from ..pictures import splits, training_data

    training = learned.load(options.training)
    if training.learned.deltas:
        raise TrainingError(
            f"The training in {shown(options.training)} is fine-tuned, so its network has seen all of its "
            "images and cannot measure new ones with them. Train again: `train` measures the distances."
        )
    recorded = training.record["options"]
    folds = recorded["folds"] or _FOLDS
    with ProgressDisplay(arguments.err) as progress, data_options.broken_list(options) as broken:
        sources = training_data.choose(options.data_dir, None)
        data = training_data.read(sources, folds, data_options.reading(options), progress)
        broken += data.broken
        dataset = data.training
        if dataset.digest != training.data_digest:
            raise DataError(
                [
                    f"{shown(options.data_dir)} does not hold the images of this training: their digest is "
                    f"{dataset.digest}, and that of the training {training.data_digest}. Give the same "
                    "images."
                ]
            )
        weights = weights_folder.files_for(options.weights, training.architecture)
        rows = features.extract(training.network(weights), dataset.pictures, 0, options.cache, progress)
        parts = splits.folds(dataset, folds, recorded["seed"])
        measured = familiarity.measure(lambda fitted_on, name: rows, parts, len(dataset.pictures))
    if measured is None:
        raise DataError(
            [
                f"The data set has {counted(len(dataset.pictures), 'image')}, and the distances need at "
                f"least {familiarity.LEAST_IMAGES}. Train on more images."
            ]
        )
    replace(training, familiarity=measured).save(options.training)
    shares = ", ".join(f"{100 * share:g} % {distance:.3f}" for share, distance in measured.quantiles)
    arguments.out.print(f"Distances of {counted(measured.images, 'image')}: {shares}.", markup=False)


def _is_training(path: Path) -> bool:
    return (path / "training.json").is_file()
