"""The command line: parses arguments, runs a command, and turns errors into one line and an exit code."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Iterable
from typing import NoReturn

from rich.console import Console

from .commands import (
    adopt,
    champion,
    describe,
    evaluate,
    explore,
    export,
    familiarity,
    leaderboard,
    predict,
    score,
    search,
    train,
)
from .errors import DataError, TrainingError
from .files import shown
from .words import counted

_SHOWN_PROBLEMS = 30
_EPILOG = """\
from photographs to a model (more examples: imageclassifier-training COMMAND --help):
  imageclassifier-training explore photos --html data.html
  imageclassifier-training train photos --out runs/first --html training.html
  imageclassifier-training export runs/first --name pizza-model
  imageclassifier-training evaluate models/pizza-model test-photos
  imageclassifier-training score models/pizza-model new-photos --csv scores.csv
Here, photos and test-photos have one subfolder of images for each class.
In place of `train`, `search` tries many trainings, and `champion` chooses one.

environment variables:
  XDG_CACHE_HOME           folder for cached features (default: ~/.cache)
  IMAGECLASSIFIER_API_KEY  API key of the gateway, for `score --gateway`

exit codes:
  0  success
  1  an option or a file is wrong; the message says which one, and what to do
  2  the command line cannot be parsed
  3  the images cannot be used
  4  the ImageNet weights are not available
  5  the model is missing, broken or invalid
  130  interrupted; the same command continues
"""
#: The numbers of the errors that a full disk, a quota or a limit for files causes.
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_err = Console(stderr=True, highlight=False, soft_wrap=True)


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code (listed in `--help`)."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except DataError as error:
        for problem in error.problems[:_SHOWN_PROBLEMS]:
            _err.print(f"error: {problem}", markup=False)
        if (hidden := len(error.problems) - _SHOWN_PROBLEMS) > 0:
            _err.print(f"error: {counted(hidden, 'more problem is', 'more problems are')} not shown.")
        if error.hint:
            _err.print(error.hint, markup=False)
        return error.exit_code
    except TrainingError as error:
        _err.print(f"error: {error}", markup=False)
        return error.exit_code
    except OSError as error:
        _err.print(f"error: {_file_problem(error)}", markup=False)
        return 1
    except Exception as error:
        if (sentence := _tensorflow_file_problem(error)) is None:
            raise
        _err.print(f"error: {sentence}", markup=False)
        return 1
    except KeyboardInterrupt:
        _err.print("Interrupted. Run the same command again to continue from the last finished step.")
        return 130
    return 0


def _file_problem(error: OSError) -> str:
    where = f"{shown(error.filename)}: " if error.filename else ""
    what = f"{where}{error.strerror or error}"
    if error.errno in _NO_SPACE:
        return f"{what}. Free space, and run the same command again to continue from the last finished step."
    return f"{what}. Check the file or folder, and run the same command again."


def _tensorflow_file_problem(error: Exception) -> str | None:
    """The sentence for a file that TensorFlow cannot write on a full disk; None for other errors."""
    # TensorFlow's errors are no OSError and have no errno, and importing it takes seconds.
    errors = sys.modules.get("tensorflow.python.framework.errors_impl")
    if errors is None or not isinstance(error, errors.OpError):
        return None
    path, _, what = str(error.message).rpartition("; ")
    code = next((code for code in _NO_SPACE if os.strerror(code) == what), None)
    return None if code is None else _file_problem(OSError(code, what, path))


class _Parser(argparse.ArgumentParser):
    """Reports a wrong argument in one line; argparse would print the list of all options before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}. Run `{self.prog} --help`.\n")


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the name of a command and its summary on one line: argparse forgets the indentation of names."""

    def add_arguments(self, actions: Iterable[argparse.Action]) -> None:
        super().add_arguments(actions)
        self._action_max_length += self._indent_increment


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="imageclassifier-training",
        description="Train image classifiers, compare them, and export them for serving.",
        epilog=_EPILOG,
        formatter_class=_Formatter,
    )
    subparsers = parser.add_subparsers(title="commands, in the usual order", required=True, metavar="COMMAND")
    for command in (
        explore,
        train,
        search,
        leaderboard,
        champion,
        export,
        evaluate,
        predict,
        score,
        describe,
        adopt,
        familiarity,
    ):
        command.add_parser(subparsers)
    return parser
