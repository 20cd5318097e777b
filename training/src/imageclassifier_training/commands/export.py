"""`imageclassifier-training export`: writes a model version that TensorFlow Serving can serve."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from ..files import shown
from ..progress import ProgressDisplay
from ..publishing.version import FORMATS, Version
from . import _arguments as arguments
from . import _data as data_options

if TYPE_CHECKING:
    from ..publishing.release import Released

_EXAMPLES = """\
  imageclassifier-training export runs/first --name cats --version 1
  imageclassifier-training export runs/search --name cats
  imageclassifier-training export runs/first --name cats --formats tflite,tflite-int8
  imageclassifier-training export examples/pizza/v2 --name pizza-model --version 2 --out models
"""
_MORE = """\
It writes NAME/VERSION below --out: a SavedModel with its contract, and
MODEL_CARD.md. The version appears only after it was loaded in a fresh process and
predicted the same as the trained network."""


def add_parser(subparsers: Any) -> None:
    """Declare the command and its arguments."""
    command = arguments.declare(
        subparsers,
        "export",
        run,
        "export a training as a model version for TensorFlow Serving",
        _EXAMPLES,
        _MORE,
    )
    command.add_argument(
        "training",
        type=Path,
        metavar="TRAINING",
        help="folder that `train --out` wrote, or folder of a search in which `champion` has chosen one",
    )
    command.add_argument(
        "--name", required=True, help="name of the model, and of its folder in --out (required)"
    )
    arguments.add_place(command)
    command.add_argument("--weights", type=Path, metavar="PATH", help=arguments.WEIGHTS_HELP)
    others = command.add_argument_group("other formats, beside the SavedModel")
    others.add_argument(
        "--formats",
        type=arguments.chosen_from(*FORMATS),
        default=(),
        metavar="FORMAT,...",
        help=f"formats to write too, of {', '.join(FORMATS)}. Each must predict the same class as the "
        "SavedModel for 99 %% of the golden images, which lie in each version, and of up to 1,000 images of "
        "the cross-validation",
    )
    others.add_argument(
        "--pictures",
        type=Path,
        metavar="DIR",
        help="folder with the training images, on all levels, for --formats (default: where they were at the "
        "training)",
    )


def run(options: argparse.Namespace) -> None:
    """Export a finished training and print what the check of the export measured."""
    from ..publishing import release
    from ..publishing.model_card import CARD_FILE

    wanted = Version(
        options.name,
        options.version,
        options.out,
        options.replace,
        options.weights,
        options.formats,
        options.pictures,
    )
    with ProgressDisplay(arguments.err) as progress:
        released = release.release(options.training, wanted, progress)
    data_options.print_notes(released.notes)
    exported = released.exported
    arguments.out.print(
        f"Exported {shown(exported.folder)}: {exported.figures}. "
        f"Its probabilities differ from the trained network's by at most {exported.worst_difference:.1g}.",
        markup=False,
    )
    if released.formats:
        arguments.out.print(_formats(released))
    arguments.out.print(f"Wrote its model card: {shown(exported.folder / CARD_FILE)}.", markup=False)


def _formats(released: Released) -> Table:
    exported = released.exported
    table = Table(title="the SavedModel and the other formats", title_justify="left")
    table.add_column("format")
    table.add_column("file")
    for name in ("MB", "ms, one core", "same class", "largest difference"):
        table.add_column(name, justify="right")
    size, speed = f"{exported.size_bytes / 1e6:.1f}", f"{exported.milliseconds_per_picture:.1f}"
    table.add_row("SavedModel", "saved_model.pb", size, speed, "", "")
    for each in released.formats:
        table.add_row(
            each.name,
            each.file,
            f"{each.size_bytes / 1e6:.1f}",
            f"{each.milliseconds:.1f}",
            f"{100 * each.agreement:.2f} % of {each.images}",
            f"{each.largest_difference:.2g}",
        )
    return table
