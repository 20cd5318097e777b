"""`imageclassifier-training export`: writes a model version that TensorFlow Serving can serve."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..files import shown
from . import _arguments as arguments

_EXAMPLES = """\
  imageclassifier-training export runs/first --name cats --version 1
  imageclassifier-training export runs/search --name cats
  imageclassifier-training export examples/pizza/v2 --name pizza-model --version 2 --out models
"""


def add_parser(subparsers: Any) -> None:
    """Declare the command and its arguments."""
    command = arguments.declare(
        subparsers,
        "export",
        run,
        "export a training as a model version for TensorFlow Serving, with a model card",
        _EXAMPLES,
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
    from ..publishing import release
    from ..publishing.model_card import CARD_FILE

    exported = release.release(
        options.training,
        release.Wanted(options.name, options.version, options.out, options.replace, options.weights),
    )
    arguments.out.print(
        f"Exported {shown(exported.folder)}: {exported.size_bytes / 1e6:.1f} MB, loads in "
        f"{exported.load_seconds:.2f} s, {exported.milliseconds_per_picture:.0f} ms per image on one core. "
        f"Its probabilities differ from the trained network's by at most {exported.worst_difference:.1g}.",
        markup=False,
    )
    arguments.out.print(f"Wrote its model card: {shown(exported.folder / CARD_FILE)}.", markup=False)
