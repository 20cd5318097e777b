"""The command line: reads arguments, and turns errors into one line and an exit code."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from rich.console import Console

from imageclassifier_gateway.contract import FITS, RESIZES

from . import commands
from .errors import DataError, TrainingError
from .networks.architecture import BACKBONES

_SHOWN_PROBLEMS = 30
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="imageclassifier-training",
        description="Trains image classifiers and exports them as SavedModels that describe themselves.",
    )
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")

    command = _command(
        subparsers,
        "train",
        commands.train,
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
    command.add_argument("--cache", type=Path, default=_default_cache(), help="for features (%(default)s)")

    command = _command(
        subparsers,
        "export",
        commands.export,
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
        subparsers,
        "evaluate",
        commands.evaluate,
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
        subparsers,
        "predict",
        commands.predict,
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
        subparsers,
        "describe",
        commands.describe,
        "say in words what an exported model is",
        """\
examples:
  imageclassifier-training describe models/pizza-model/2
""",
    )
    command.add_argument("model", type=Path)
    return parser


def _command(subparsers: Any, name: str, run: Any, summary: str, examples: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = subparsers.add_parser(
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


def _default_cache() -> Path:
    """`$XDG_CACHE_HOME/imageclassifier`, or `~/.cache/imageclassifier`."""
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "imageclassifier"
