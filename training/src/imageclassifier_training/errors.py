"""Errors that the command line reports in one line each, with their exit codes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def one_line(error: object, most: int = 300) -> str:
    """The text of an error on one line, cut after `most` characters. Those of Keras have many lines."""
    return " ".join(str(error).split())[:most]


class TrainingError(Exception):
    """A mistake that the user can correct; the message is the sentence they read."""

    exit_code = 1


class DataError(TrainingError):
    """The images cannot be used as they are; `problems` has one line for each file or class.

    `hint` says what helps against all of them.
    """

    exit_code = 3

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
        self.hint = ""


class BrokenImages(DataError):  # noqa: N818
    """Some files cannot be used; `broken` lists them (`pictures.dataset.Broken`)."""

    def __init__(self, problems: list[str], broken: Sequence[Any]) -> None:
        super().__init__(problems)
        self.broken = broken


class WeightsUnavailable(TrainingError):  # noqa: N818
    """The ImageNet weights of a backbone are not available on this machine."""

    exit_code = 4


class ModelError(TrainingError):
    """A SavedModel is missing, breaks the model contract, or returns wrong probabilities."""

    exit_code = 5
