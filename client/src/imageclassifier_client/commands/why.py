"""`why`: why an ImageClassifier is, or is not, ready, and what to do next."""

from __future__ import annotations

import argparse
from typing import Any

from ..output import console
from ..report.advice import headline, next_step, sentence
from . import _arguments as arguments
from .status import observe

_EXAMPLES = """\
  kubectl imageclassifier why pizza
"""


def add_parser(subparsers: Any) -> None:
    """Declare the command and its arguments."""
    command = arguments.declare(
        subparsers, "why", run, "say why it is not ready, and what to do next", _EXAMPLES
    )
    arguments.add_name(command)
    arguments.add_cluster(command)


def run(options: argparse.Namespace) -> None:
    """Print the sentence and the next step."""
    with arguments.classifiers(options) as found:
        seen = observe(found, options.name)
    terminal = console.results()
    terminal.print(f"{seen.name} is {headline(seen)}. {sentence(seen)}", markup=False)
    if step := next_step(seen, arguments.program(options)):
        terminal.print(f"Next: {step}", markup=False)
