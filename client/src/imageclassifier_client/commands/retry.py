"""`retry`: retries a version that failed, with the annotation imageclassifier.dev/retry."""

from __future__ import annotations

import argparse
from typing import Any

from ..cluster.classifiers import RETRY_ANNOTATION
from . import _arguments as arguments
from . import _change
from .status import observe


def add_parser(subparsers: Any) -> None:
    """Declare the command and its arguments."""
    _change.declare(subparsers, "retry", run, "retry a version that failed")


def run(options: argparse.Namespace) -> None:
    """Retry the version in the spec."""
    with arguments.classifiers(options) as found:
        seen = observe(found, options.name)
        if seen.failure is None:
            raise _change.refused(
                options,
                f"Version {seen.wanted}, which the spec asks for, has not failed, so there is nothing to "
                f"retry.",
            )
        found.change(options.name, _change.annotation(RETRY_ANNOTATION))
    _change.done(options, f"The rollout of version {seen.wanted} starts again.")
