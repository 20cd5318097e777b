"""`history`: how the last rollouts of an ImageClassifier ended."""

from __future__ import annotations

import argparse
from typing import Any

from ..output import console
from ..output.tables import history_table
from . import _arguments as arguments
from .status import observe

_EXAMPLES = """\
  kubectl imageclassifier history pizza
"""


def add_parser(subparsers: Any) -> None:
    """Declare the command and its arguments."""
    command = arguments.declare(subparsers, "history", run, "list how the last rollouts ended", _EXAMPLES)
    arguments.add_name(command)
    arguments.add_cluster(command)


def run(options: argparse.Namespace) -> None:
    """Print the history, the newest rollout first."""
    with arguments.classifiers(options) as found:
        seen = observe(found, options.name)
    if seen.history:
        console.results().print(history_table(seen.history))
    else:
        console.errors().print(f"{seen.name}: no rollout has ended yet.", markup=False)
