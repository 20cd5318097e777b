"""`logs`: the logs of all pods of an ImageClassifier, each line with its pod."""

from __future__ import annotations

import argparse
import queue
import threading
from collections.abc import Iterator
from typing import Any

from ..cluster.api import ApiError
from ..cluster.classifiers import Classifiers
from ..errors import ClientError
from ..output import console
from ..report.classifier import Report
from ..report.pods import Pod
from . import _arguments as arguments
from .status import observe

_COMPONENTS = ("serving", "gateway", "verify")
_EXAMPLES = """\
  kubectl imageclassifier logs pizza
  kubectl imageclassifier logs pizza --component gateway --follow
  kubectl imageclassifier logs pizza --component serving --version 2 --previous
"""


def add_parser(subparsers: Any) -> None:
    """Declare the command and its arguments."""
    command = arguments.declare(subparsers, "logs", run, "print the logs of its pods", _EXAMPLES)
    arguments.add_name(command)
    command.add_argument(
        "--component",
        choices=_COMPONENTS,
        help="only model servers, gateways or verifications (default: all)",
    )
    command.add_argument(
        "--version", type=arguments.positive_integer, metavar="N", help="only pods of this version"
    )
    command.add_argument("-f", "--follow", action="store_true", help="stay, and print new lines")
    command.add_argument(
        "-p", "--previous", action="store_true", help="logs of the containers before their restart"
    )
    command.add_argument(
        "--tail",
        type=arguments.positive_integer,
        default=20,
        metavar="N",
        help="lines of each container (default: 20)",
    )
    arguments.add_cluster(command)


def run(options: argparse.Namespace) -> None:
    """Print the logs, one container after the other, or all at once with `--follow`."""
    with arguments.classifiers(options) as found:
        pods = _chosen(options, observe(found, options.name))
        sources = [(pod, container) for pod in pods for container in pod.containers]
        query = {"tailLines": str(options.tail)}
        query |= {name: "true" for name in ("follow", "previous") if getattr(options, name)}
        logs = [_lines(found, pod, container, query) for pod, container in sources]
        for line in _merged(logs) if options.follow else (line for log in logs for line in log):
            print(line, flush=options.follow)


def _chosen(options: argparse.Namespace, seen: Report) -> list[Pod]:
    if seen.pods_hidden:
        raise ClientError(seen.pods_hidden)
    pods = [
        pod
        for pod in seen.pods
        if options.component in (None, pod.component) and options.version in (None, pod.version)
    ]
    if not pods:
        raise ClientError(
            f"{seen.name} has no such pod now. {arguments.program(options).command('status', seen.name)} "
            f"shows its pods."
        )
    return pods


def _lines(found: Classifiers, pod: Pod, container: str, query: dict[str, str]) -> Iterator[str]:
    path = found.core_path("pods", pod.name, "log")
    try:
        for line in found.api.lines(path, {**query, "container": container}):
            yield f"{pod.name} {container}: {line}"
    except ApiError as error:
        # A container that has not started, or has not been restarted, has no log. The others have.
        if error.status in (401, 403):
            raise found.explained(error) from None
        console.errors().print(f"{pod.name} {container}: {error.message}", markup=False)


def _merged(logs: list[Iterator[str]]) -> Iterator[str]:
    """The lines of all logs as they arrive."""
    lines: queue.Queue[str | ClientError | None] = queue.Queue()

    def read(log: Iterator[str]) -> None:
        try:
            for line in log:
                lines.put(line)
            lines.put(None)
        except ClientError as error:
            lines.put(error)

    for log in logs:
        threading.Thread(target=read, args=(log,), daemon=True).start()
    for _ in logs:
        while (line := lines.get()) is not None:
            if isinstance(line, ClientError):
                raise line
            yield line
