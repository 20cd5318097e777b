"""`imageclassifier-training score`: classifies many images without labels, and writes a CSV file."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataError, TrainingError
from ..files import shown, write_atomically
from ..progress import ProgressDisplay
from . import _arguments as arguments

if TYPE_CHECKING:
    from ..exporting.saved_model import ServedModel

_EXAMPLES = """\
  imageclassifier-training score models/pizza-model new-photographs --csv scores.csv --html sheet.html
  imageclassifier-training score models/pizza-model a.jpg https://example.org/b.jpg --csv scores.csv
  imageclassifier-training score --gateway http://localhost:8080 new-photographs --csv scores.csv
"""


def add_parser(subparsers: Any) -> None:
    """Declare the command and its arguments."""
    command = arguments.declare(
        subparsers, "score", run, "classify many images without labels into a CSV file", _EXAMPLES
    )
    command.add_argument(
        "sources",
        nargs="+",
        metavar="[MODEL] IMAGES",
        help="folder of a model or of its version (not with --gateway), then any number of image files, "
        "folders of images (all levels) and URLs",
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
        "--html", type=Path, metavar="FILE", help="write a contact sheet of the CSV file, by label"
    )
    command.add_argument(
        "--gateway", metavar="URL", help="ask the gateway at this URL instead of loading a model"
    )


def run(options: argparse.Namespace) -> None:
    """Classify images; raise DataError at the end if some could not be read."""
    from ..judging import scoring
    from ..judging.score_table import ScoreTable

    sources = options.sources if options.gateway else options.sources[1:]
    if not sources:
        raise TrainingError("Give the images to classify after the model: files, folders or URLs.")
    images = list(dict.fromkeys(scoring.images(sources)))
    model = None if options.gateway else _load(Path(options.sources[0]))
    name = f"{model.contract.name} {model.contract.digest[:19]}" if model else options.gateway
    counts: Counter[str] = Counter()
    with ProgressDisplay(arguments.err) as progress, ScoreTable(options.csv, name) as table:
        wanted = [image for image in images if image not in table.done]
        already = len(images) - len(wanted)
        scored = scoring.with_model(model, wanted) if model else scoring.with_gateway(options.gateway, wanted)
        for done, each in enumerate(scored, start=1):
            table.add(each)
            counts[each.decision.label if each.decision else ""] += 1
            progress("Classify", done, len(wanted))
    if options.html:
        from ..judging import contact_sheet

        write_atomically(options.html, contact_sheet.render(options.csv, name).encode())
    failed = counts.pop("", 0)
    listed = ", ".join(f"{count} {label}" for label, count in counts.most_common(10)) or "none"
    resumed = f" {already} were in the file before." if already else ""
    arguments.out.print(
        f"Classified {sum(counts.values())} images: {listed}.{resumed} Wrote {shown(options.csv)}.",
        markup=False,
    )
    if failed:
        raise DataError(
            [f"{failed} images could not be classified. Their errors are in {shown(options.csv)}."]
        )


def _load(folder: Path) -> ServedModel:
    # Imported only here: TensorFlow takes seconds, and a gateway needs none of it.
    from ..exporting import saved_model

    return saved_model.load(folder)
