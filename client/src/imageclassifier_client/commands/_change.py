"""What the commands share that change an ImageClassifier."""

from __future__ import annotations

import argparse
import datetime
from typing import Any

from ..cluster.api import Json
from ..errors import ClientError
from ..output import console
from . import _arguments as arguments


def declare(subparsers: Any, name: str, run: Any, summary: str) -> argparse.ArgumentParser:
    """Declare a command that changes one ImageClassifier."""
    command = arguments.declare(subparsers, name, run, summary, f"  kubectl imageclassifier {name} pizza\n")
    arguments.add_name(command)
    arguments.add_cluster(command)
    return command


def new_value() -> str:
    """A value for an annotation that takes effect once per value: the time."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


def annotation(name: str) -> Json:
    """The merge patch that gives an annotation a new value."""
    return {"metadata": {"annotations": {name: new_value()}}}


def done(options: argparse.Namespace, what: str) -> None:
    """Say what the command has changed, and how to watch the effect."""
    watch = arguments.program(options).command("status", options.name, "--watch")
    console.results().print(f"{options.name}: {what} Watch it with {watch}.", markup=False)


def refused(options: argparse.Namespace, why: str) -> ClientError:
    """The error of a command that would have no effect."""
    status = arguments.program(options).command("why", options.name)
    return ClientError(f"{options.name}: {why} {status} says more.")
