"""`promote`: continues a rollout by one step, with the annotation imageclassifier.dev/promote."""

from __future__ import annotations

import argparse
from typing import Any

from ..cluster.classifiers import PROMOTE_ANNOTATION
from . import _arguments as arguments
from . import _change
from .status import observe


def add_parser(subparsers: Any) -> None:
    """Declare the command and its arguments."""
    _change.declare(subparsers, "promote", run, "continue a rollout by one step")


def run(options: argparse.Namespace) -> None:
    """Promote the candidate by one step."""
    with arguments.classifiers(options) as found:
        seen = observe(found, options.name)
        if seen.candidate is None:
            raise _change.refused(options, "No version is being rolled out, so there is nothing to promote.")
        found.change(options.name, _change.annotation(PROMOTE_ANNOTATION))
    when = "now" if seen.phase == "Shift" else "as soon as it is loaded and verified"
    _change.done(options, f"Version {seen.candidate} continues with the next step {when}.")
