"""Finds arguments in the wrong order, and says which comes first."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from ..errors import TrainingError
from ..files import numbered, shown


def is_model(path: Path) -> bool:
    """Whether a path is the folder of a model, or of one of its versions."""
    folders = [path, *numbered(path).values()]
    return any((each / "saved_model.pb").is_file() for each in folders)


def check(command: str, given: Sequence[Path | str], first: str, is_first: Callable[[Path], bool]) -> None:
    """Raise TrainingError if not the first of the given arguments, but another one is what must come first.

    `first` is the name of the first argument in the help of the command.
    """
    if is_first(Path(given[0])):
        return
    found = next((each for each in given[1:] if is_first(Path(each))), None)
    if found is None:
        return
    others = [each for each in given if each != found]
    right = shlex.join(["imageclassifier-training", command, *map(shown, (found, *others[:1]))])
    raise TrainingError(
        f"`{command}` takes {first} first, and {shown(given[0])} is none, but {shown(found)} is. Swap them: "
        f"{right}{' ...' if len(others) > 1 else ''}"
    )
