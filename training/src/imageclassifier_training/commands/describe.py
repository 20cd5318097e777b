"""`imageclassifier-training describe`: prints what an exported model contains."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from . import _arguments as arguments

_EXAMPLES = """\
  imageclassifier-training describe models/pizza-model/2
"""


def add_parser(subparsers: Any) -> None:
    """Declare the command and its arguments."""
    command = arguments.declare(
        subparsers,
        "describe",
        run,
        "print the classes, input, metrics and signatures of a model",
        _EXAMPLES,
    )
    command.add_argument("model", type=Path, metavar="MODEL", help=arguments.MODEL_HELP)


def run(options: argparse.Namespace) -> None:
    """Print what an exported model contains."""
    from ..exporting import describe, saved_model

    for line in describe.describe(saved_model.load(options.model)):
        arguments.out.print(line, markup=False)
