"""What a user of the command line is told when something is wrong, and with which exit code."""

from __future__ import annotations


class TrainingError(Exception):
    """Something the user can put right; the message is the sentence they read."""

    exit_code = 1


class DataError(TrainingError):
    """The training pictures cannot be used as they are; `problems` has one line for each file or class."""

    exit_code = 3

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class WeightsUnavailable(TrainingError):  # noqa: N818
    """A backbone's ImageNet weights cannot be had here."""

    exit_code = 4


class ModelError(TrainingError):
    """A SavedModel is missing, does not keep the contract, or does not give what it should."""

    exit_code = 5
