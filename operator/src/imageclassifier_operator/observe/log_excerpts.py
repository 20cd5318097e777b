"""Excerpts of foreign text for our messages: the end of a log, a message of Kubernetes. Pure."""

import json
import re

MAX_DETAIL_CHARACTERS = 300
_MAX_OF_OURS = 1800
"""A termination message has at most 2,048 bytes, and `status.failedVersions[].message` 2,048 characters."""

_TIME_AND_PLACE = re.compile(
    r"^(?:\d{4}-\d{2}-\d{2}[T ])?\d{1,2}:\d{2}:\d{2}[\d.,]*(?:Z| ?[+-]\d{2}:?\d{2})?:?\s+(?:[IWEF] \S+\] )?"
)


def one_line(text: str | None, most: int = MAX_DETAIL_CHARACTERS) -> str:
    """The text as one line of at most `most` characters, without a full stop."""
    line = " ".join((text or "no message").split()).rstrip(".")
    return line if len(line) <= most else f"{line[: most - 1]}…"


def error_line(log: str) -> str:
    """The last line of a log that contains a word of failure, or else its last line."""
    lines = [_without_prefix(line) for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"(?i)error|fail|cannot|not found|no such", line)]
    return one_line((errors or lines or ["no message"])[-1])


def last_line(log: str) -> str:
    r"""The last line of the log of a program of ours, which is a message for the user.

    >>> last_line("Read.\nThe model has no class file. Add one.\n")
    'The model has no class file. Add one'
    """
    lines = log.strip().splitlines()
    return one_line(lines[-1] if lines else None, _MAX_OF_OURS)


def load_error(log: str) -> str:
    """TensorFlow Serving's error about the model, without the text around it.

    >>> load_error("Failed to start server. Error: UNKNOWN: 1 servable(s) did not become available: "
    ...            "{{{name: pizza version: 2} due to error: NOT_FOUND: no graph}, }")
    'NOT_FOUND: no graph'
    """
    found = re.search(r"due to error: (.+?)\}[}, ]*$", log, re.MULTILINE)
    return error_line(log) if found is None else one_line(found[1])


def _without_prefix(line: str) -> str:
    """A log line without its time and source location, which differ from crash to crash.

    >>> _without_prefix('{"time": "10:00", "message": "no worker"}')
    'no worker'
    >>> _without_prefix("2026-01-01 10:00:00.1: E a.cc:1] no model")
    'no model'
    >>> _without_prefix("The container could not be located"), _without_prefix("2 of 3 files are there")
    ('The container could not be located', '2 of 3 files are there')
    """
    try:
        return str(json.loads(line)["message"])
    except (ValueError, KeyError, TypeError):
        return _TIME_AND_PLACE.sub("", line.strip())
