"""`imageclassifier-training export`: writes a model version that TensorFlow Serving can serve."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from . import _arguments as arguments

_EXAMPLES = """\
  imageclassifier-training export runs/first --name cats --version 1
  imageclassifier-training export runs/search --name cats
  imageclassifier-training export examples/pizza/v2 --name pizza-model --version 2 --out models
"""


def add_parser(subparsers: Any) -> None:
    """Declare the command and its arguments."""
    command = arguments.declare(
        subparsers, "export", run, "export a training as a model version for TensorFlow Serving", _EXAMPLES
    )
    command.add_argument(
        "training",
        type=Path,
        metavar="TRAINING",
        help="folder that `train --out` wrote, or folder of a search in which `champion` has chosen one",
    )
    command.add_argument("--name", required=True, help="name of the model (required)")
    command.add_argument(
        "--version",
        type=int,
        metavar="N",
        help="version of the model, at least 1 (default: one more than the highest version of NAME in --out)",
    )
    command.add_argument(
        "--out",
        type=Path,
        default=Path("models"),
        help="folder in which NAME/VERSION is written (default: models)",
    )
    command.add_argument("--replace", action="store_true", help="replace the version if it exists")
    command.add_argument("--weights", type=Path, metavar="PATH", help=arguments.WEIGHTS_HELP)


def run(options: argparse.Namespace) -> None:
    """Export a finished training and print what the check of the export measured."""
    from ..comparing.crowning import CHAMPION_FOLDER
    from ..exporting import export
    from ..networks import learned, weights_folder

    folder = options.training
    if not (folder / learned.RECORD_FILE).exists() and (folder / CHAMPION_FOLDER).is_dir():
        folder = folder / CHAMPION_FOLDER
    training = learned.load(folder)
    version = export.next_version(options.out / options.name) if options.version is None else options.version
    weights = options.weights or weights_folder.random_beside(folder)
    exported = export.export_training(
        training,
        options.name,
        export.Place(options.out, version, options.replace),
        weights_folder.files_for(weights, training.architecture),
    )
    arguments.out.print(
        f"Exported {exported.folder}: {exported.size_bytes / 1e6:.1f} MB, loads in "
        f"{exported.load_seconds:.2f} s, {exported.milliseconds_per_picture:.0f} ms per image on one core. "
        f"Its probabilities differ from the trained network's by at most {exported.worst_difference:.1g}."
    )
