"""`imageclassifier-training train`: trains a classifier on labelled images."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from imageclassifier_gateway.contract import FOR_NEW_MODELS

from ..errors import TrainingError
from ..files import shown
from ..fitting.options import FineTuning, Options, Workspace, check
from ..networks import weights_folder
from ..networks.architecture import Architecture, Branch
from ..progress import ProgressDisplay
from ..words import counted
from . import _arguments as arguments
from . import _data as data_options
from . import _tables as tables
from . import _train_options as train_options

if TYPE_CHECKING:
    from ..networks.learned import Training

_EXAMPLES = """\
  imageclassifier-training train photos --out runs/first
  imageclassifier-training train photos --out runs/better --backbone efficientnet_lite1@300 --views 4
  imageclassifier-training train photos --out runs/best --backbone efficientnet_lite1@300 --fine-tune 7
  imageclassifier-training train labels.csv --out runs/labelled --skip-broken --broken-list broken.csv
  imageclassifier-training train pizza_not_pizza --out runs/pizza --message pizza="It's a pizza!"
"""
_MORE = """\
It trains a linear head on the features of a network that was pretrained on
ImageNet, and measures it by cross-validation. With --fine-tune, blocks of that
network are trained too, which takes much longer. A run that was killed continues
when you run the same command again."""


def add_parser(subparsers: Any) -> None:
    """Declare the command and its arguments."""
    command = arguments.declare(
        subparsers, "train", run, "train a classifier on labelled images", _EXAMPLES, _MORE
    )
    command.add_argument("data_dir", type=Path, metavar="DATA", help=arguments.DATA_DIR_HELP)
    command.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder for the result: learned.npz, training.json, out_of_fold.csv. An earlier result in it is "
        "replaced (required)",
    )
    arguments.add_cache(command)
    command.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="random seed; the same seed gives the same result (default: 0)",
    )
    data_options.add_arguments(command.add_argument_group("which images are used"))
    train_options.add_groups(command)


def run(options: argparse.Namespace) -> None:
    """Train on labelled images and save the result."""
    architecture = Architecture(
        tuple(Branch.parse(text) for text in options.backbone or ["efficientnet_lite0"]),
        resize=options.resize,
        fit=options.fit,
        decode=replace(FOR_NEW_MODELS, margin=options.decode_margin, profile=options.colour_profile),
    )
    weights = weights_folder.files_for(options.weights, architecture)
    settings = Options(
        architecture=architecture,
        views=options.views,
        balanced=not options.no_class_weights,
        folds=options.folds,
        repeats=options.repeats,
        threshold=options.threshold,
        calibrate=not options.no_calibration,
        seed=options.seed,
        fine_tuning=_fine_tuning(options),
    )
    with ProgressDisplay(arguments.err) as progress, data_options.broken_list(options) as broken:
        from ..pictures import training_data

        sources = training_data.choose(options.data_dir, options.validation)
        messages = _messages(options.message, sources.training.classes)
        check(settings, sources.training.classes, options.html)
        data = training_data.read(sources, options.folds, data_options.reading(options), progress)
        dataset = data.training
        broken += data.broken
        data_options.print_notes(data.notes)

        from ..fitting import training_run

        result = training_run.train(
            dataset,
            settings,
            Workspace(
                out=options.out,
                cache=options.cache,
                weights=weights,
                progress=progress,
                report=options.html,
            ),
            validation=data.validation,
            messages=messages,
        )
    if result.metrics:
        arguments.out.print(_table(result, f"{architecture}, {counted(len(dataset.pictures), 'image')}"))
    if cross_validation := result.metrics.get("cross_validation"):
        from ..judging.metrics import ClassMetrics

        names = [each.name for each in result.classes]
        rows = [ClassMetrics(**each) for each in cross_validation["classes"]]
        arguments.out.print(tables.of_classes(names, rows))
    arguments.out.print(_operating_point(result), markup=False)
    arguments.out.print(f"Saved the result in {shown(options.out)}. Next, export it:", markup=False)
    command = f"  imageclassifier-training export {shown(options.out)} --name NAME"
    arguments.out.print(command, markup=False)


def _operating_point(result: Training) -> str:
    temperature = f"Calibration: temperature {result.record['temperature']:.3f}."
    if len(result.classes) != 2:
        return temperature
    chosen = result.record["threshold_rule"]
    how = "" if chosen == "fixed" else f", chosen by {chosen} on the out-of-fold predictions"
    if chosen != "fixed" and "cross_validation" in result.metrics:
        how += (
            ". In the tables, each fold has a threshold that was chosen on the other folds, so their figures "
            "can be lower"
        )
    notes = "".join(f" {note}" for note in result.record["notes"])
    return f"{temperature} Threshold: {result.threshold:.3f}{how}.{notes}"


def _table(result: Training, title: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("measured by")
    for name in ("accuracy", "log loss", "ROC AUC"):
        table.add_column(name, justify="right")
    for name, figures in result.metrics.items():
        if "accuracy" not in figures:
            continue
        images = f"{figures['repeats']} x {figures['folds']} folds" if "folds" in figures else "other images"
        table.add_row(
            f"{name.replace('_', '-')} ({images})",
            f"{100 * figures['accuracy']:.2f} %",
            f"{figures['log_loss']:.4f}",
            "n/a" if figures["roc_auc"] is None else f"{figures['roc_auc']:.4f}",
        )
    return table


def _fine_tuning(options: argparse.Namespace) -> FineTuning | None:
    if options.fine_tune is None:
        return None
    return FineTuning(
        blocks=None if options.fine_tune == "all" else int(options.fine_tune),
        epochs=options.epochs,
        learning_rate=options.learning_rate,
        patience=options.patience,
        mixed_precision=options.mixed_precision,
    )


def _messages(pairs: list[str], classes: tuple[str, ...]) -> dict[str, str]:
    messages = {}
    for pair in pairs:
        name, separator, message = pair.partition("=")
        if not separator or name not in classes:
            raise TrainingError(
                f"--message '{pair}' must be CLASS=SENTENCE, where CLASS is one of {', '.join(classes)}."
            )
        messages[name] = message
    return messages
