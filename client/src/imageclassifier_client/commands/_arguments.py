"""What the commands share: how one is declared, the options that name the cluster, and a connection to it."""

from __future__ import annotations

import argparse
import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

from ..cluster import kubectl
from ..cluster.api import Api
from ..cluster.classifiers import Classifiers
from ..errors import ClientError
from ..report.program import Program

NAME_HELP = "name of the ImageClassifier"


def declare(
    subparsers: Any, name: str, run: Callable[[argparse.Namespace], None], summary: str, examples: str
) -> argparse.ArgumentParser:
    """Declare a command; `summary` is its line in the list of commands."""
    command: argparse.ArgumentParser = subparsers.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.set_defaults(run=run)
    return command


def add_cluster(command: argparse.ArgumentParser) -> None:
    """Declare the options that name the cluster and the namespace, as kubectl has them."""
    group = command.add_argument_group("cluster")
    group.add_argument("-n", "--namespace", metavar="NAME", help="namespace (default: that of the context)")
    group.add_argument(
        "--context", metavar="NAME", help="context of the kubeconfig (default: the current one)"
    )
    group.add_argument("--kubeconfig", metavar="FILE", help="kubeconfig file (default: as kubectl finds it)")


def add_name(command: argparse.ArgumentParser) -> None:
    """Declare the argument with the name of an ImageClassifier."""
    command.add_argument("name", metavar="NAME", help=NAME_HELP)


def add_output(command: argparse.ArgumentParser) -> None:
    """Declare `--output`."""
    command.add_argument(
        "-o", "--output", choices=("text", "json"), default="text", help="form of the output (default: text)"
    )


def positive_integer(text: str) -> int:
    """A whole number of at least 1."""
    if not (text.isascii() and text.isdecimal()) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' must be a whole number of at least 1")
    return int(text)


def program(options: argparse.Namespace) -> Program:
    """The name of this program, with the options that name the cluster, for suggested commands."""
    given = {
        "--namespace": options.namespace,
        "--context": options.context,
        "--kubeconfig": options.kubeconfig,
    }
    words = tuple(word for name, value in given.items() if value for word in (name, value))
    return Program.called(options.program, words)


def kubectl_of(options: argparse.Namespace) -> kubectl.Kubectl:
    """Kubectl for the chosen cluster."""
    return kubectl.from_environment(os.environ, options.context, options.kubeconfig)


@contextlib.contextmanager
def classifiers(options: argparse.Namespace) -> Iterator[Classifiers]:
    """Connect to the chosen cluster, and yield the ImageClassifiers of the chosen namespace."""
    chosen = kubectl_of(options)
    found: list[kubectl.Place | ClientError] = []

    def read() -> None:
        try:
            found.append(chosen.place())
        except ClientError as error:
            found.append(error)

    # Each run of kubectl takes a tenth of a second: both at once.
    reader = threading.Thread(target=read)
    reader.start()
    try:
        with chosen.api_server() as path:
            reader.join()
            place = found[0]
            if isinstance(place, ClientError):
                raise place
            yield Classifiers(Api(path, place.server), options.namespace or place.namespace, place.context)
    except ClientError:
        reader.join()
        if isinstance(found[0], ClientError):
            raise found[0] from None
        raise
