"""`completion`: prints the script with which a shell completes this program."""

from __future__ import annotations

import argparse
from typing import Any

from . import _arguments as arguments

_EXAMPLES = """\
  source <(imageclassifier completion bash)
  source <(imageclassifier completion zsh)
  imageclassifier completion fish | source

`kubectl imageclassifier` is completed by kubectl itself, with the program kubectl_complete-imageclassifier.
"""
_BASH = """\
_imageclassifier() {
    local IFS=$'\\n' found
    found=$(imageclassifier __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
    [ "${found##*:}" = 0 ] && compopt -o default 2>/dev/null
    COMPREPLY=($(grep -v '^:' <<<"$found"))
}
complete -F _imageclassifier imageclassifier
"""
SCRIPTS = {
    "bash": _BASH,
    "zsh": f"autoload -U +X bashcompinit && bashcompinit\n{_BASH}",
    "fish": (
        "complete -c imageclassifier -a "
        "'(imageclassifier __complete (commandline -opc)[2..] (commandline -ct) 2>/dev/null | string match "
        '-v ":*")\'\n'
    ),
}


def add_parser(subparsers: Any) -> None:
    """Declare the command and its arguments."""
    command = arguments.declare(
        subparsers, "completion", run, "print the completion script of a shell", _EXAMPLES
    )
    command.add_argument("shell", choices=tuple(SCRIPTS), help="the shell")


def run(options: argparse.Namespace) -> None:
    """Print the script."""
    print(SCRIPTS[options.shell], end="")
