"""The command line: parses arguments, runs a command, and turns errors into one line and an exit code."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from typing import Any, NoReturn

from . import completion
from .commands import (
    batch,
    batches,
    create,
    history,
    logs,
    open_page,
    pause,
    predict,
    promote,
    retry,
    rollback,
    status,
    why,
)
from .commands import completion as completion_scripts
from .errors import ClientError
from .output import console
from .report.program import Program

_COMMANDS = (
    status, why, predict, promote, retry, pause, rollback, history, logs, open_page,
    batch, batches, create, completion_scripts,
)  # fmt: skip
_COMPLETE = "__complete"
"""The hidden command of the completion scripts."""
_DESCRIPTION = "Show ImageClassifiers, classify pictures with them, and decide on their rollouts."
_EPILOG = """\
examples (`kubectl imageclassifier COMMAND --help` has more):
  kubectl imageclassifier status pizza --watch
  kubectl imageclassifier why pizza
  kubectl imageclassifier predict pizza dinner.jpg

environment variables:
  KUBECONFIG              kubeconfig files, as for kubectl
  KUBECTL                 kubectl program (default: kubectl)
  IMAGECLASSIFIER_API_KEY key that `predict` sends to a gateway that needs one
  NO_COLOR                no colours, if it is set

exit codes:
  0    success
  1    the cluster or the gateway refused, or the command has no effect now; the message says what to do
  2    the command line cannot be parsed
  130  interrupted
"""


class Parser(argparse.ArgumentParser):
    """Reports a wrong argument in one line; argparse would print the usage before it."""

    def error(self, message: str) -> NoReturn:
        """Print the message and end."""
        self.exit(2, f"{self.prog}: {message}. Run `{self.prog} --help`.\n")


def parser(program: str) -> argparse.ArgumentParser:
    """The parser of all commands. `program`: its name in messages."""
    result = Parser(
        prog=program,
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    subparsers = result.add_subparsers(required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add_parser(subparsers)
    return result


def run(arguments: list[str], program: str) -> int:
    """Run one command and return its exit code (listed in `--help`). `program`: the path of this program."""
    commands = parser(Program.called(program).name)
    if arguments[:1] == [_COMPLETE]:
        print("\n".join(completion.complete(commands, arguments[1:])))
        return 0
    options = commands.parse_args(arguments)
    options.program = program
    signal.signal(signal.SIGTERM, _end)
    try:
        options.run(options)
    except ClientError as error:
        console.errors().print(f"error: {error}", markup=False)
        return 1
    except BrokenPipeError:  # the reader, such as `head`, has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    return 0


def _end(*_: Any) -> None:
    """End with the clean-up of an exception: kubectl must not stay."""
    sys.exit(143)
