"""The command line of the gateway: it has no options, only `--help` and settings from the environment.

Also what the command lines of the other programs in this package share.
"""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from .config import VARIABLES

_DESCRIPTION = """\
The gateway of an ImageClassifier: takes pictures over HTTP, prepares them, and asks the versions of the model
that the routing file names. The operator writes that file; examples/compose.yaml has one written by hand.
SIGTERM ends the gateway after the requests in progress."""
_EXAMPLE = """\
example:
  GATEWAY_ROUTING_FILE=routing.json GATEWAY_TIMEOUT_SECONDS=20 imageclassifier-gateway
  curl --data-binary @picture.jpg http://localhost:9696/predict

exit codes:
  0  stopped by a signal
  1  the gateway could not start, or a part of it failed
  2  an argument or a setting is invalid
"""


#: The file whose text Kubernetes shows as the message of a container that has ended.
TERMINATION_LOG = Path("/dev/termination-log")


class Parser(argparse.ArgumentParser):
    """Prints texts as they are, and reports a wrong or abbreviated argument in one line, with exit code 2."""

    def __init__(self, **settings: Any) -> None:
        settings.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        settings.setdefault("allow_abbrev", False)
        super().__init__(**settings)

    def error(self, message: str) -> NoReturn:
        """Print the message and end."""
        self.exit(2, f"{self.prog}: {message}. Run `{self.prog} --help`.\n")


def parse(arguments: Sequence[str]) -> None:
    """Print the help for `--help`. Raises SystemExit with code 2 for any other argument."""
    Parser(
        prog="imageclassifier-gateway",
        usage="%(prog)s [--help]",
        description=_DESCRIPTION,
        epilog=f"settings (environment variables):\n{_settings()}\n\n{_EXAMPLE}",
    ).parse_args(arguments)


def write_termination_log(text: str, file: Path = TERMINATION_LOG) -> None:
    """Write the message of this container for Kubernetes. Without Kubernetes there is no such file."""
    if file.exists():
        file.write_text(text, encoding="utf-8", errors="replace")


def _settings() -> str:
    lines = []
    for variable in VARIABLES:
        text = f"{variable.meaning} (default: {variable.default})"
        lines.append(f"  {variable.name}")
        lines.append(textwrap.fill(text, 94, initial_indent="      ", subsequent_indent="      "))
    return "\n".join(lines)
