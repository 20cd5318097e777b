"""`imageclassifier-training predict`: classifies images with an exported model."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ..errors import DataError, TrainingError
from ..files import shown
from . import _arguments as arguments
from . import _order as order

_EXAMPLES = """\
  imageclassifier-training predict models/pizza-model dinner.jpg lunch.heic
  imageclassifier-training predict models/pizza-model/2 dinner.jpg --json
"""


def add_parser(subparsers: Any) -> None:
    """Declare the command and its arguments."""
    command = arguments.declare(
        subparsers, "predict", run, "classify a few images, and print their labels", _EXAMPLES
    )
    command.add_argument("model", type=Path, metavar="MODEL", help=arguments.MODEL_HELP)
    command.add_argument("pictures", type=Path, nargs="+", metavar="IMAGE", help="image file to classify")
    command.add_argument("--json", action="store_true", help="print one JSON object per image")


def run(options: argparse.Namespace) -> None:
    """Classify images; raise DataError at the end if some could not be read."""
    order.check("predict", [options.model, *options.pictures], "MODEL", order.is_model)
    if folder := next((each for each in options.pictures if each.is_dir()), None):
        score = f"imageclassifier-training score {shown(options.model)} {shown(folder)} --csv scores.csv"
        raise TrainingError(
            f"{shown(folder)} is a folder, and `predict` takes image files. Classify a folder with `score`: "
            f"{score}"
        )
    # TensorFlow takes seconds to import. The checks above come first.
    from ..exporting import predict, saved_model

    model = saved_model.load(options.model)
    failed = []
    for path, result in predict.predict(model, options.pictures):
        if isinstance(result, str):
            failed.append(f"{shown(path)}: {result}")
        elif options.json:
            arguments.out.print(json.dumps({"picture": shown(path), **result.__dict__}), markup=False)
        else:
            line = f"{shown(path)}: {result.message} ({result.label} {result.probability:.3f})"
            arguments.out.print(line, markup=False)
    if failed:
        raise DataError(failed)
