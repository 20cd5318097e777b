"""`status`: the tree of one ImageClassifier, or a list of all."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

from ..cluster.classifiers import Classifiers
from ..errors import ClientError
from ..output import console, live
from ..output.tables import list_table
from ..output.tree import status_tree
from ..report.as_json import as_json
from ..report.classifier import Report, report
from . import _arguments as arguments

_EXAMPLES = """\
  kubectl imageclassifier status                     all of the namespace
  kubectl imageclassifier status pizza               versions, traffic, pods, evidence
  kubectl imageclassifier status pizza --watch       the same, live
  kubectl imageclassifier status pizza -o json
"""


def add_parser(subparsers: Any) -> None:
    """Declare the command and its arguments."""
    command = arguments.declare(
        subparsers, "status", run, "show versions, traffic, pods, evidence and the next step", _EXAMPLES
    )
    command.add_argument("name", metavar="NAME", nargs="?", help=f"{arguments.NAME_HELP} (default: list all)")
    command.add_argument("-A", "--all-namespaces", action="store_true", help="list those of all namespaces")
    command.add_argument("-w", "--watch", action="store_true", help="stay, and show each change")
    arguments.add_output(command)
    arguments.add_cluster(command)


def run(options: argparse.Namespace) -> None:
    """Print the status."""
    if options.watch and (options.name is None or options.output == "json"):
        raise ClientError("--watch shows one ImageClassifier as text. Name it, and leave out --output json.")
    if options.all_namespaces and options.name is not None:
        raise ClientError("--all-namespaces lists all. Leave it out, or leave out the name.")
    with arguments.classifiers(options) as found:
        if options.name is None:
            _list(options, found)
        elif options.watch:
            _watch(options, found)
        else:
            _show(options, observe(found, options.name))


def observe(found: Classifiers, name: str) -> Report:
    """Read an ImageClassifier and its pods. Users who may not read pods see the rest."""
    body = found.read(name)
    try:
        pods, hidden = found.pods(name), ""
    except ClientError as error:
        pods, hidden = [], str(error)
    return report(body, pods, time.time(), hidden)


def _show(options: argparse.Namespace, seen: Report) -> None:
    program = arguments.program(options)
    if options.output == "json":
        print(json.dumps(as_json(seen, program), ensure_ascii=False, indent=2))
    else:
        console.results().print(status_tree(seen, program))


def _list(options: argparse.Namespace, found: Classifiers) -> None:
    bodies = found.read_all(everywhere=options.all_namespaces)
    reports = [report(body, [], time.time()) for body in bodies]
    if options.output == "json":
        program = arguments.program(options)
        documents = [as_json(each, program) for each in reports]
        for document in documents:  # a list reads no pods
            del document["gateways"]
            for version in document["versions"]:
                del version["pods"]
        print(json.dumps(documents, ensure_ascii=False, indent=2))
    elif reports:
        console.results().print(list_table(reports, with_namespace=options.all_namespaces))
    else:
        where = "in any namespace" if options.all_namespaces else f"in namespace {found.namespace}"
        console.errors().print(f"There is no ImageClassifier {where}.", markup=False)


def _watch(options: argparse.Namespace, found: Classifiers) -> None:
    program, name = arguments.program(options), options.name
    watches: tuple[Callable[[], Any], ...] = (lambda: found.changes(name), lambda: found.pod_changes(name))
    live.show(lambda: status_tree(observe(found, name), program), watches)
