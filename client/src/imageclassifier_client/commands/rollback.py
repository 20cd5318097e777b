"""`rollback`: asks for an earlier version, with spec.model.version."""

from __future__ import annotations

import argparse
from typing import Any

from ..errors import ClientError
from ..report import rollback
from . import _arguments as arguments
from . import _change
from .status import observe


def add_parser(subparsers: Any) -> None:
    """Declare the command and its arguments."""
    command = _change.declare(subparsers, "rollback", run, "return to the version before, or to another one")
    command.add_argument(
        "--to",
        type=arguments.positive_integer,
        metavar="N",
        help="version (default: the one that served before)",
    )
    command.add_argument(
        "--force", action="store_true", help="change only the version, although its files may be elsewhere"
    )


def run(options: argparse.Namespace) -> None:
    """Set spec.model.version to the earlier version."""
    with arguments.classifiers(options) as found:
        seen = observe(found, options.name)
        version = options.to or rollback.target(seen)
        if version == seen.wanted:
            raise _change.refused(options, f"The spec asks for version {version} already.")
        if not options.force and (problem := rollback.source_problem(seen.source)):
            raise ClientError(f"{options.name}: {problem}")
        found.change(options.name, {"spec": {"model": {"version": version}}})
    if version == seen.serving:
        what = f"Version {version} keeps the traffic, and the rollout of version {seen.wanted} ends."
    elif any(each.number == version and each.pods for each in seen.versions):
        what = f"Version {version} is still loaded, and gets all traffic again."
    elif rollback.has_served(seen, version):
        what = f"Version {version} is rolled out again."
    else:
        what = f"Version {version} is rolled out. It has not served before, as far as status.history says."
    _change.done(options, what)
