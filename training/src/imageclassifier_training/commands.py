"""What each command does: calls the steps and prints what came of them.

TensorFlow takes seconds to import, so each command imports its steps when it runs, after what can be refused
without them: a wrong request and wrong data are told at once.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from .errors import DataError, TrainingError
from .files import write_atomically
from .networks.architecture import BACKBONES, Architecture, Branch
from .progress import Display

if TYPE_CHECKING:
    from .fitting.fine_tuning import FineTuning

_out = Console(highlight=False, soft_wrap=True)
_err = Console(stderr=True, highlight=False, soft_wrap=True)


def train(options: argparse.Namespace) -> None:
    """Train on a folder and keep what was learned."""
    architecture = Architecture(
        tuple(Branch.parse(text) for text in options.backbone or ["efficientnet_lite0"]),
        resize=options.resize,
        fit=options.fit,
    )
    weights = _weights(options, architecture)
    with Display(_err) as progress:
        from .pictures import dataset as data

        dataset = data.read(options.data_dir, progress)
        validation = data.read(options.validation, progress) if options.validation else None
        messages = _messages(options.message, dataset.classes)

        from .fitting import train as training

        result = training.train(
            dataset,
            training.Options(
                architecture=architecture,
                views=options.views,
                balanced=not options.no_class_weights,
                folds=options.folds,
                repeats=options.repeats,
                threshold=options.threshold,
                seed=options.seed,
                fine_tuning=_fine_tuning(options),
            ),
            out=options.out,
            validation=validation,
            messages=messages,
            cache=options.cache,
            weights=weights,
            progress=progress,
        )
    table = Table(title=f"{architecture}, {len(dataset.pictures)} pictures", title_justify="left")
    table.add_column("measured on")
    for name in ("accuracy", "log loss", "ROC AUC"):
        table.add_column(name, justify="right")
    for name, figures in result.metrics.items():
        what = f"{figures['repeats']} x {figures['folds']} folds" if "folds" in figures else "other pictures"
        table.add_row(
            f"{name.replace('_', '-')} ({what})",
            f"{100 * figures['accuracy']:.2f} %",
            f"{figures['log_loss']:.4f}",
            f"{figures['roc_auc']:.4f}",
        )
    if result.metrics:
        _out.print(table)
    _out.print(f"Kept in {options.out}; next:")
    _out.print(f"  imageclassifier-training export {options.out} --name NAME --version 1", markup=False)


def export(options: argparse.Namespace) -> None:
    """Write a version that TensorFlow Serving serves."""
    from .exporting import export as exporting
    from .networks import learned

    result = learned.load(options.training)
    exported = exporting.export_training(
        result,
        options.name,
        options.version,
        options.out,
        replace=options.replace,
        weights=_weights(options, result.architecture),
    )
    _out.print(
        f"{exported.folder}: {exported.size_bytes / 1e6:.1f} MB, loads in {exported.load_seconds:.2f} s, "
        f"{exported.milliseconds_per_picture:.0f} ms a picture on one core, within "
        f"{exported.worst_difference:.1g} of the trained network"
    )


def evaluate(options: argparse.Namespace) -> None:
    """Measure an exported model on a folder of pictures."""
    from .exporting import saved_model
    from .judging import evaluate, report
    from .pictures import dataset as data

    model = saved_model.load(options.model)
    with Display(_err) as progress:
        dataset = data.read(options.data_dir, progress)
        result = evaluate.evaluate(model, dataset, progress)
    document = result.to_dict()
    if options.json:
        write_atomically(options.json, (json.dumps(document, indent=1) + "\n").encode())
    if options.html:
        write_atomically(options.html, report.render(result).encode())
    table = Table(title=f"{model.contract.name} on {options.data_dir}", title_justify="left")
    table.add_column("figure")
    table.add_column("value", justify="right")
    table.add_column("")
    low, high = result.metrics.accuracy_interval
    if result.seen:
        table.add_row(
            "share right",
            f"{100 * result.metrics.accuracy:.2f} %",
            "NOT accuracy: the model was trained on these pictures",
        )
    else:
        table.add_row(
            "accuracy", f"{100 * result.metrics.accuracy:.2f} %", f"95 % interval {low:.2%} to {high:.2%}"
        )
    cross_validation = model.contract.metrics.get("cross_validation")
    if cross_validation:
        table.add_row(
            "accuracy by cross-validation",
            f"{100 * cross_validation['accuracy']:.2f} %",
            f"recorded at training, {cross_validation['repeats']} x {cross_validation['folds']} folds",
        )
    table.add_row("log loss", f"{result.metrics.log_loss:.4f}", "nats")
    if result.metrics.roc_auc is not None:
        table.add_row("ROC AUC", f"{result.metrics.roc_auc:.4f}", "")
    table.add_row("calibration error", f"{result.metrics.calibration_error:.4f}", "expected, 10 bins")
    table.add_row("mistakes", str(len(result.mistakes)), f"of {result.metrics.pictures} pictures")
    _out.print(table)
    confusion = Table(title="true class (rows), answer (columns)", title_justify="left")
    confusion.add_column("")
    for name in model.contract.class_names:
        confusion.add_column(name, justify="right")
    for name, row in zip(model.contract.class_names, result.metrics.confusion, strict=True):
        confusion.add_row(name, *map(str, row))
    _out.print(confusion)


def predict(options: argparse.Namespace) -> None:
    """Classify pictures; raises DataError at the end for those that could not be read."""
    from .exporting import predict, saved_model

    model = saved_model.load(options.model)
    failed = []
    for path, answer in predict.predict(model, options.pictures):
        if isinstance(answer, str):
            failed.append(f"{path}: {answer}")
        elif options.json:
            _out.print(json.dumps({"picture": str(path), **answer.__dict__}), markup=False)
        else:
            _out.print(f"{path}: {answer.message} ({answer.label} {answer.probability:.3f})", markup=False)
    if failed:
        raise DataError(failed)


def describe(options: argparse.Namespace) -> None:
    """Say in words what an exported model is."""
    from .exporting import describe, saved_model

    for line in describe.describe(saved_model.load(options.model)):
        _out.print(line, markup=False)


def _fine_tuning(options: argparse.Namespace) -> FineTuning | None:
    if options.fine_tune is None:
        return None
    from .fitting.fine_tuning import FineTuning

    return FineTuning(
        blocks=None if options.fine_tune == "all" else int(options.fine_tune),
        epochs=options.epochs,
        learning_rate=options.learning_rate,
        patience=options.patience,
    )


def _messages(pairs: list[str], classes: tuple[str, ...]) -> dict[str, str]:
    messages = {}
    for pair in pairs:
        name, separator, message = pair.partition("=")
        if not separator or name not in classes:
            raise TrainingError(f"--message '{pair}' must be CLASS=SENTENCE, of {', '.join(classes)}.")
        messages[name] = message
    return messages


def _weights(options: argparse.Namespace, architecture: Architecture) -> dict[str, Path]:
    if options.weights is None:
        return {}
    names = {each.backbone for each in architecture.branches if BACKBONES[each.backbone].downloads}
    if len(names) != 1:
        raise TrainingError(
            f"--weights is for one backbone of keras.applications; {architecture} has {len(names)}."
        )
    return {names.pop(): options.weights}
