"""`batches`: how far the batches of a namespace are."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import Any

from ..cluster.batches import Batches
from ..output import console
from ..output.tables import batches_table
from ..report.batches import CLASSIFIER_LABEL, BatchReport, batch_report, newest_pod, state
from . import _arguments as arguments

_EXAMPLES = """\
  kubectl imageclassifier batches              all of the namespace
  kubectl imageclassifier batches pizza
  kubectl imageclassifier batches -o json
"""


def add_parser(subparsers: Any) -> None:
    """Declare the command and its arguments."""
    command = arguments.declare(subparsers, "batches", run, "show how far the batches are", _EXAMPLES)
    command.add_argument("name", metavar="NAME", nargs="?", help=f"{arguments.NAME_HELP} (default: of all)")
    arguments.add_output(command)
    arguments.add_cluster(command)


def run(options: argparse.Namespace) -> None:
    """Print a line for each Job of a batch, the oldest first."""
    with arguments.classifiers(options) as found:
        reports = _reports(Batches(found, CLASSIFIER_LABEL), options.name)
        if options.output == "json":
            print(json.dumps([asdict(each) for each in reports], ensure_ascii=False, indent=2))
        elif reports:
            console.results().print(batches_table(reports))
        else:
            of = f"of {options.name} " if options.name else ""
            console.errors().print(f"There is no batch {of}in namespace {found.namespace}.", markup=False)


def _reports(batches: Batches, classifier: str | None) -> list[BatchReport]:
    jobs, pods = batches.jobs(classifier), batches.pods(classifier)
    reports = []
    for job in jobs:
        pod = newest_pod(pods, job["metadata"]["name"])
        # The last line of an ended pod is in its status.
        runs = pod is not None and state(job) == "Running"
        line = batches.last_line(pod["metadata"]["name"]) if pod is not None and runs else ""
        reports.append(batch_report(job, pod, line))
    return reports
