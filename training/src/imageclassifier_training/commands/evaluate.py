"""`imageclassifier-training evaluate`: measures an exported model on labelled images."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from ..files import shown, write_atomically
from ..progress import ProgressDisplay
from ..words import counted
from . import _arguments as arguments
from . import _data as data_options
from . import _order as order
from . import _tables as tables

if TYPE_CHECKING:
    from ..judging.evaluate import Evaluation

_EXAMPLES = """\
  imageclassifier-training evaluate models/pizza-model/2 photos --html report.html --json report.json
"""
_MORE = """\
Give images that the model was not trained on. It knows its training images: if
some are among those that you give, the figures are about the others. If DATA is
divided into splits, test/ is used, or val/ if there is no test/."""


def add_parser(subparsers: Any) -> None:
    """Declare the command and its arguments."""
    command = arguments.declare(
        subparsers, "evaluate", run, "measure an exported model on labelled images", _EXAMPLES, _MORE
    )
    command.add_argument("model", type=Path, metavar="MODEL", help=arguments.MODEL_HELP)
    command.add_argument("data_dir", type=Path, metavar="DATA", help=arguments.DATA_DIR_HELP)
    data_options.add_arguments(command.add_argument_group("which images are used"))
    command.add_argument(
        "--html",
        type=Path,
        metavar="FILE",
        help="write a report with plots and the worst mistakes as one HTML file",
    )
    command.add_argument("--json", type=Path, metavar="FILE", help="write all metrics as JSON")


def run(options: argparse.Namespace) -> None:
    """Measure an exported model, write the reports that were asked for, and print a summary."""
    order.check("evaluate", [options.model, options.data_dir], "MODEL", order.is_model)
    # TensorFlow takes seconds to import. The check above comes first.
    from ..exporting import saved_model
    from ..judging import evaluate, report
    from ..pictures import folders, reading

    model = saved_model.load(options.model)
    with ProgressDisplay(arguments.err) as progress, data_options.broken_list(options) as broken:
        sources = folders.find(options.data_dir)
        dataset = reading.read_all({"": sources.to_evaluate}, data_options.reading(options), progress)[""]
        broken += dataset.broken
        data_options.print_notes(dataset.notes)
        if sources.has_splits:
            data_options.print_notes([f"Of the splits, {shown(sources.to_evaluate.source)} is evaluated."])
        evaluation = evaluate.evaluate(model, dataset, progress)
    if options.json:
        write_atomically(options.json, (json.dumps(evaluation.to_dict(), indent=1) + "\n").encode())
    if options.html:
        write_atomically(options.html, report.of_evaluation(evaluation).encode())
    arguments.out.print(_summary(evaluation, f"{model.contract.name} on {options.data_dir}"))
    judgement = evaluation.judgement
    arguments.out.print(tables.of_classes(judgement.class_names, judgement.metrics.classes))
    arguments.out.print(tables.of_confusion(judgement))


def _summary(evaluation: Evaluation, title: str) -> Table:
    metrics = evaluation.judgement.metrics
    table = Table(title=title, title_justify="left")
    table.add_column("metric")
    table.add_column("value", justify="right")
    table.add_column("")
    low, high = metrics.accuracy_interval
    percent = f"{100 * metrics.accuracy:.2f} %"
    if evaluation.trained_on:
        total = len(evaluation.dataset.pictures)
        table.add_row("trained on", f"{evaluation.trained_on} of {total}", "of the given images")
    if not evaluation.honest:
        table.add_row("correct", percent, "NOT accuracy: the model was trained on these images")
    else:
        table.add_row("accuracy", percent, f"95 % interval {100 * low:.2f} % to {100 * high:.2f} %")
    if cross_validation := evaluation.model.contract.metrics.get("cross_validation"):
        table.add_row(
            "accuracy by cross-validation",
            f"{100 * cross_validation['accuracy']:.2f} %",
            f"recorded at training, {cross_validation['repeats']} x {cross_validation['folds']} folds",
        )
    table.add_row("log loss", f"{metrics.log_loss:.4f}", "nats")
    if metrics.roc_auc is not None:
        table.add_row("ROC AUC", f"{metrics.roc_auc:.4f}", "")
    if metrics.top_5 is not None:
        table.add_row("top-5 accuracy", f"{100 * metrics.top_5:.2f} %", "true class among the first five")
    table.add_row("mean F1", f"{metrics.macro_f1:.4f}", "of the classes")
    table.add_row("calibration error", f"{metrics.calibration_error:.4f}", "expected, 10 bins")
    table.add_row(
        "mistakes", str(len(evaluation.judgement.mistakes)), f"of {counted(metrics.pictures, 'image')}"
    )
    return table
