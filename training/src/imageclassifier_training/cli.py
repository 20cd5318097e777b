"""The command line: reads arguments, shows progress, prints results, turns errors into one line and an exit
code.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from imageclassifier_gateway.contract import FITS, RESIZES

from . import data, evaluate, learned, report, saved_model
from . import export as exporting
from . import train as training
from .backbones import BACKBONES
from .errors import DataError, TrainingError
from .features import default_cache
from .files import write_atomically
from .finetune import FineTuning
from .network import Architecture, Branch
from .predict import predict
from .progress import Display

_SHOWN_PROBLEMS = 30
_out = Console(highlight=False, soft_wrap=True)
_err = Console(stderr=True, highlight=False, soft_wrap=True)


def run(arguments: list[str]) -> int:
    """Run one command; gives its exit code: 0 done, 1 wrong request, 2 wrong usage, 3 data, 4 weights, 5
    model.
    """
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except DataError as error:
        for problem in error.problems[:_SHOWN_PROBLEMS]:
            _err.print(f"error: {problem}", markup=False)
        if len(error.problems) > _SHOWN_PROBLEMS:
            _err.print(f"error: and {len(error.problems) - _SHOWN_PROBLEMS} more of the kind.")
        return error.exit_code
    except TrainingError as error:
        _err.print(f"error: {error}", markup=False)
        return error.exit_code
    except KeyboardInterrupt:
        _err.print("Interrupted; the same command goes on from what was finished.")
        return 130
    return 0


def _train(options: argparse.Namespace) -> None:
    with Display(_err) as progress:
        dataset = data.read(options.data_dir, progress)
        validation = data.read(options.validation, progress) if options.validation else None
        architecture = Architecture(
            tuple(Branch.parse(text) for text in options.backbone or ["efficientnet_lite0"]),
            resize=options.resize,
            fit=options.fit,
        )
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
            messages=_messages(options.message, dataset.classes),
            cache=options.cache,
            weights=_weights(options, architecture),
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


def _export(options: argparse.Namespace) -> None:
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


def _evaluate(options: argparse.Namespace) -> None:
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


def _predict(options: argparse.Namespace) -> None:
    model = saved_model.load(options.model)
    failed = []
    for path, answer in predict(model, options.pictures):
        if isinstance(answer, str):
            failed.append(f"{path}: {answer}")
        elif options.json:
            _out.print(json.dumps({"picture": str(path), **answer.__dict__}), markup=False)
        else:
            _out.print(f"{path}: {answer.message} ({answer.label} {answer.probability:.3f})", markup=False)
    if failed:
        raise DataError(failed)


def _describe(options: argparse.Namespace) -> None:
    from .describe import describe

    for line in describe(saved_model.load(options.model)):
        _out.print(line, markup=False)


def _fine_tuning(options: argparse.Namespace) -> FineTuning | None:
    if options.fine_tune is None:
        return None
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="imageclassifier-training",
        description="Trains image classifiers and exports them as SavedModels that describe themselves.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = _command(
        commands,
        "train",
        _train,
        "train on a folder of class folders",
        """\
examples:
  imageclassifier-training train photos --out runs/first
  imageclassifier-training train photos --out runs/better --backbone efficientnet_lite1@300 --views 4
  imageclassifier-training train photos --out runs/best --backbone efficientnet_lite1@300 --fine-tune 7
  imageclassifier-training train pizza_not_pizza --out runs/pizza --message pizza="It's a pizza!"
""",
    )
    command.add_argument("data_dir", type=Path, help="a folder with one folder of pictures for each class")
    command.add_argument("--out", type=Path, required=True, help="folder for what is learned, and its record")
    command.add_argument(
        "--backbone",
        action="append",
        metavar="NAME[@PIXELS]",
        help=f"one of {', '.join(BACKBONES)}, and the size it looks at; said more than once, they work "
        "side by side (default efficientnet_lite0)",
    )
    command.add_argument("--weights", type=Path, help="ImageNet weights file for one of keras.applications")
    command.add_argument("--resize", default="bilinear", choices=RESIZES)
    command.add_argument("--fit", default="squash", choices=FITS)
    command.add_argument(
        "--views", type=_count, default=2, help="1: as served, 2: and mirrored (default), more: and crops"
    )
    command.add_argument(
        "--fine-tune",
        type=_blocks,
        metavar="BLOCKS",
        help="also train the last BLOCKS of the backbone, or `all`",
    )
    command.add_argument("--epochs", type=_count, default=4, help="at most, of fine-tuning (4)")
    command.add_argument(
        "--learning-rate", type=float, default=1e-5, help="of fine-tuning, at its peak (1e-5)"
    )
    command.add_argument(
        "--patience",
        type=int,
        default=2,
        help="epochs without improvement on a tenth kept aside, 0: none is (2)",
    )
    command.add_argument("--folds", type=_folds, default=5, help="folds of the cross-validation, 0 for none")
    command.add_argument("--repeats", type=_count, default=1, help="cross-validations, each with new folds")
    command.add_argument("--validation", type=Path, metavar="DIR", help="other pictures, only measured on")
    command.add_argument("--no-class-weights", action="store_true", help="do not weigh rare classes up")
    command.add_argument("--threshold", type=_share, default=0.5, help="of two classes, for the second (0.5)")
    command.add_argument("--message", action="append", default=[], metavar="CLASS=SENTENCE")
    command.add_argument("--seed", type=int, default=0, help="the same seed gives the same result")
    command.add_argument("--cache", type=Path, default=default_cache(), help="for features (%(default)s)")

    command = _command(
        commands,
        "export",
        _export,
        "write a version that TensorFlow Serving serves",
        """\
examples:
  imageclassifier-training export runs/first --name cats --version 1
  imageclassifier-training export examples/pizza/v2 --name pizza-model --version 2 --out models
""",
    )
    command.add_argument("training", type=Path, help="the folder that `train --out` filled")
    command.add_argument("--name", required=True, help="the model's name")
    command.add_argument("--version", type=int, required=True, help="a whole number from 1 on")
    command.add_argument("--out", type=Path, default=Path("models"), help="gets NAME/VERSION (models)")
    command.add_argument("--replace", action="store_true", help="replace the version if it exists")
    command.add_argument("--weights", type=Path, help="as for train")

    command = _command(
        commands,
        "evaluate",
        _evaluate,
        "measure an exported model",
        """\
examples:
  imageclassifier-training evaluate models/pizza-model/2 photos --html report.html --json report.json
""",
    )
    command.add_argument("model", type=Path, help="a version's folder, or a model's (its highest version)")
    command.add_argument("data_dir", type=Path, help="a folder with one folder of pictures for each class")
    command.add_argument("--html", type=Path, help="write a report with plots and the worst mistakes")
    command.add_argument("--json", type=Path, help="write all figures")

    command = _command(
        commands,
        "predict",
        _predict,
        "classify pictures with an exported model",
        """\
examples:
  imageclassifier-training predict models/pizza-model dinner.jpg lunch.heic
""",
    )
    command.add_argument("model", type=Path)
    command.add_argument("pictures", type=Path, nargs="+", metavar="PICTURE")
    command.add_argument("--json", action="store_true", help="one JSON object for each picture")

    command = _command(
        commands,
        "describe",
        _describe,
        "say in words what an exported model is",
        """\
examples:
  imageclassifier-training describe models/pizza-model/2
""",
    )
    command.add_argument("model", type=Path)
    return parser


def _command(commands: Any, name: str, run: Any, summary: str, examples: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run=run)
    return command


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from 1 on")
    return int(text)


def _blocks(text: str) -> str:
    if text != "all" and not (text.isdecimal() and int(text) >= 1):
        raise argparse.ArgumentTypeError(f"'{text}' is neither a number of blocks nor 'all'")
    return text


def _folds(text: str) -> int:
    if not text.isdecimal() or int(text) == 1:
        raise argparse.ArgumentTypeError(f"'{text}' is neither 0 nor a whole number from 2 on")
    return int(text)


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not between 0 and 1")
    return value
