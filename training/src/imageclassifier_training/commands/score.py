"""`imageclassifier-training score`: classifies many images without labels, and writes a CSV file."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataError, TrainingError
from ..files import shown, write_atomically
from ..progress import ProgressDisplay
from ..words import counted
from . import _arguments as arguments
from . import _order as order

if TYPE_CHECKING:
    from ..exporting.saved_model import ServedModel

_EXAMPLES = """\
  imageclassifier-training score models/pizza-model new-photographs --csv scores.csv --html sheet.html
  imageclassifier-training score models/pizza-model a.jpg https://example.org/b.jpg --csv scores.csv
  imageclassifier-training score --gateway http://localhost:8080 new-photographs --csv scores.csv
"""
_MORE = """\
The CSV file is written line by line. A run that was killed continues when you
run the same command again."""


def add_parser(subparsers: Any) -> None:
    """Declare the command and its arguments."""
    command = arguments.declare(
        subparsers, "score", run, "classify many images into a CSV file", _EXAMPLES, _MORE
    )
    # argparse would print the metavar of several values twice.
    command.usage = (
        "%(prog)s [-h] --csv FILE [--html FILE] MODEL IMAGES ...\n"
        "       %(prog)s [-h] --csv FILE [--html FILE] --gateway URL IMAGES ..."
    )
    command.add_argument(
        "sources",
        nargs="+",
        metavar="MODEL IMAGES",
        help="folder of a model or of its version (leave it out with --gateway), then any number of image "
        "files, folders of images (all levels) and URLs",
    )
    command.add_argument(
        "--csv",
        type=Path,
        required=True,
        metavar="FILE",
        help="write one line per image: label, probability, message and the probability of each class, or an "
        "error. If the file exists, only images that are not in it or had an error are classified (required)",
    )
    command.add_argument(
        "--html",
        type=Path,
        metavar="FILE",
        help="write a contact sheet of the images in the CSV file, by label, as one HTML file",
    )
    command.add_argument(
        "--gateway",
        metavar="URL",
        help="ask the gateway at this URL instead of loading a model; IMAGECLASSIFIER_API_KEY is its API key",
    )


def run(options: argparse.Namespace) -> None:
    """Classify images; raise DataError at the end if some could not be read."""
    from ..judging import score_table, scoring

    sources = options.sources if options.gateway else options.sources[1:]
    if not sources:
        raise TrainingError("Give the images to classify after the model: files, folders or URLs.")
    if options.gateway:
        scoring.check_gateway(options.gateway)
        if order.is_model(Path(sources[0])):
            raise TrainingError(
                f"With --gateway, the gateway classifies, and {shown(sources[0])} is a model. Leave it out."
            )
    else:
        order.check("score", options.sources, "MODEL", order.is_model)
    images = list(dict.fromkeys(scoring.images(sources)))
    model = None if options.gateway else _load(Path(options.sources[0]))
    name = scoring.name_of(model) if model else options.gateway
    score = partial(scoring.with_model, model) if model else partial(scoring.with_gateway, options.gateway)
    with ProgressDisplay(arguments.err) as progress:
        filled = score_table.fill(options.csv, name, images, score, progress)
    if options.html:
        from ..judging import contact_sheet

        write_atomically(options.html, contact_sheet.render(options.csv, name).encode())
    most = list(filled.labels.items())[:10]
    listed = f": {', '.join(f'{count} {label}' for label, count in most)}" if most else ""
    resumed = f" {counted(filled.already, 'was', 'were')} in the file before." if filled.already else ""
    arguments.out.print(
        f"Classified {counted(sum(filled.labels.values()), 'image')}{listed}.{resumed} "
        f"Wrote {shown(options.csv)}.",
        markup=False,
    )
    if filled.failed:
        raise DataError(
            [
                f"{counted(filled.failed, 'image')} could not be classified. The column error of "
                f"{shown(options.csv)} says why."
            ]
        )


def _load(folder: Path) -> ServedModel:
    # Imported only here: TensorFlow takes seconds, and a gateway needs none of it.
    from ..exporting import saved_model

    return saved_model.load(folder)
