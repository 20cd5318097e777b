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
_ZSH = """\
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
_imageclassifier() {
    local -a found
    found=("${(@f)$(imageclassifier __complete "${(Q@)words[2,CURRENT]}" 2>/dev/null)}")
    compadd -- ${found:#:*}
    [[ $found[-1] = :0 ]] && _files
}
compdef _imageclassifier imageclassifier
"""
_FISH = """\
function __imageclassifier_complete
    set -l word (commandline -ct)
    set -l found (imageclassifier __complete (commandline -opc)[2..] "$word" 2>/dev/null)
    string match -v ':*' -- $found
    test "$found[-1]" = :0; and __fish_complete_path "$word"
end
complete -c imageclassifier -f -a '(__imageclassifier_complete)'
"""
SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def add_parser(subparsers: Any) -> None:
    """Declare the command and its arguments."""
    command = arguments.declare(
        subparsers, "completion", run, "print the completion script of a shell", _EXAMPLES
    )
    command.add_argument("shell", choices=tuple(SCRIPTS), help="the shell")


def run(options: argparse.Namespace) -> None:
    """Print the script."""
    print(SCRIPTS[options.shell], end="")
