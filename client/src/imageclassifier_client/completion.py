"""Completes a command line: commands, options, and the names of ImageClassifiers, namespaces and contexts."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from .cluster.api import ApiError
from .commands import _arguments
from .errors import ClientError

_FILES, _NO_FILES = ":0", ":4"
"""What kubectl, and the scripts of `completion`, do after the candidates (cobra's ShellCompDirective)."""

Values = Callable[[argparse.Namespace], Iterable[str]]


@dataclass(frozen=True)
class _Position:
    """Where the user is: in the value of an option, or at a positional argument."""

    option: argparse.Action | None
    positional: int
    options: argparse.Namespace
    """The options before, as far as they name the cluster."""


def complete(parser: argparse.ArgumentParser, words: Sequence[str]) -> list[str]:
    """The candidates for the last of `words`, and a last line that says whether it may be a file."""
    start = words[-1] if words else ""
    commands = _commands(parser)
    if len(words) <= 1:
        return [*_matching(sorted(commands), start), _NO_FILES]
    command = commands.get(words[0])
    if command is None:
        return [_NO_FILES]
    position = _position(command, words[1:-1])
    if position.option is not None:
        return [*_matching(_values_of(position.option, position.options), start), _directive(position.option)]
    if start.startswith("-"):
        names = (name for action in command._actions for name in action.option_strings)
        return [*_matching(sorted(names), start), _NO_FILES]
    positionals = [action for action in command._actions if not action.option_strings]
    if not positionals:
        return [_NO_FILES]
    action = positionals[min(position.positional, len(positionals) - 1)]
    if position.positional >= len(positionals) and action.nargs != "+":
        return [_NO_FILES]
    return [*_matching(_values_of(action, position.options), start), _directive(action)]


def _commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    [action] = (each for each in parser._actions if isinstance(each, argparse._SubParsersAction))
    return dict(action.choices)


def _position(command: argparse.ArgumentParser, words: Sequence[str]) -> _Position:
    by_name = {name: action for action in command._actions for name in action.option_strings}
    options = argparse.Namespace(namespace=None, context=None, kubeconfig=None)
    option, positional = None, 0
    for word in words:
        if option is not None:
            setattr(options, option.dest, word)
            option = None
        elif word.startswith("-") and word != "-":
            name, equals, value = word.partition("=")
            action = by_name.get(name)
            if action is not None and action.nargs != 0:
                if equals:
                    setattr(options, action.dest, value)
                else:
                    option = action
        else:
            positional += 1
    return _Position(option, positional, options)


def _directive(action: argparse.Action) -> str:
    return _FILES if action.dest in ("pictures", "kubeconfig", "model", "classes") else _NO_FILES


def _values_of(action: argparse.Action, options: argparse.Namespace) -> Iterable[str]:
    if action.choices is not None:
        return [str(each) for each in action.choices]
    values = _FROM_CLUSTER.get(action.dest)
    if values is None:
        return ()
    try:
        return sorted(values(options))
    except (ClientError, ApiError):  # without a cluster there are no candidates
        return ()


def _matching(names: Iterable[str], start: str) -> list[str]:
    return [name for name in names if name.startswith(start)]


def _names(options: argparse.Namespace) -> Iterable[str]:
    with _arguments.classifiers(options) as found:
        return [each["metadata"]["name"] for each in found.read_all()]


def _namespaces(options: argparse.Namespace) -> Iterable[str]:
    with _arguments.classifiers(options) as found:
        return [each["metadata"]["name"] for each in found.api.get("/api/v1/namespaces")["items"]]


def _contexts(options: argparse.Namespace) -> Iterable[str]:
    return _arguments.kubectl_of(options).contexts()


_FROM_CLUSTER: dict[str, Values] = {"name": _names, "namespace": _namespaces, "context": _contexts}
