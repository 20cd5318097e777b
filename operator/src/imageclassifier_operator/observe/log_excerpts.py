"""What others say, as far as it goes into a sentence of ours: a log's end, a message of Kubernetes. Pure."""

import json
import re

MAX_DETAIL_CHARACTERS = 300

_TIME_AND_PLACE = re.compile(
    r"^(?:\d{4}-\d{2}-\d{2}[T ])?\d{1,2}:\d{2}:\d{2}[\d.,]*(?:Z| ?[+-]\d{2}:?\d{2})?:?\s+(?:[IWEF] \S+\] )?"
)


def short(text: str | None) -> str:
    """One line of bounded length without a full stop, to be put into a sentence."""
    line = " ".join((text or "no message").split()).rstrip(".")
    return line if len(line) <= MAX_DETAIL_CHARACTERS else f"{line[: MAX_DETAIL_CHARACTERS - 1]}…"


def telling(log: str) -> str:
    """The line of a log's end that says most: the last with a word of failure in it, else the last."""
    lines = [_words_of(line) for line in log.splitlines() if line.strip()]
    told = [line for line in lines if re.search(r"(?i)error|fail|cannot|not found|no such", line)]
    return short((told or lines or ["no message"])[-1])


def load_error(log: str) -> str:
    """What TensorFlow Serving says of the model, without what it says around it.

    >>> load_error("Failed to start server. Error: UNKNOWN: 1 servable(s) did not become available: "
    ...            "{{{name: pizza version: 2} due to error: NOT_FOUND: no graph}, }")
    'NOT_FOUND: no graph'
    """
    found = re.search(r"due to error: (.+?)\}[}, ]*$", log, re.MULTILINE)
    return telling(log) if found is None else short(found[1])


def _words_of(line: str) -> str:
    """A log line without its time and place, which differ from crash to crash.

    >>> _words_of('{"time": "10:00", "message": "no worker"}')
    'no worker'
    >>> _words_of("2026-01-01 10:00:00.1: E a.cc:1] no model")
    'no model'
    >>> _words_of("The container could not be located"), _words_of("2 of 3 files are there")
    ('The container could not be located', '2 of 3 files are there')
    """
    try:
        return str(json.loads(line)["message"])
    except (ValueError, KeyError, TypeError):
        return _TIME_AND_PLACE.sub("", line.strip())
