"""Logs as JSON lines on stdout. No query strings, no request bodies, no URLs of users: they may hold
secrets."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

ACCESS_LOGGER = "imageclassifier_gateway.access"


@dataclass
class Trace:
    """What is known about a request from its beginning to its line in the log (`flask.g.trace`)."""

    began: float
    request_id: str
    traceparent: str | None
    log_fields: dict[str, Any] = field(default_factory=dict)
    #: What each stage has taken so far (stats.STAGES), also when the request fails in it.
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - began


#: Made once: `json.dumps` makes a new one for each line that is not all ASCII.
_encode = json.JSONEncoder(ensure_ascii=False).encode


class JsonFormatter(logging.Formatter):
    """One JSON object for each record."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _timestamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _encode(line)


def log_access(fields: dict[str, Any]) -> None:
    """Writes the line of one answered request, in the form of all others.

    Straight to stdout: by way of `logging`, with its records and locks, it costs more than twice as much.
    """
    line = {"time": _timestamp(time.time()), "level": "info", "logger": ACCESS_LOGGER, "message": "request"}
    with suppress(OSError):  # nobody reads the log: no reason to fail the request
        # One system call, so that the lines of several threads do not mix.
        os.write(sys.stdout.fileno(), f"{_encode(line | fields)}\n".encode())


def _timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


#: For logging.config.dictConfig: everything to stdout, one JSON object a line.
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": JsonFormatter}},
    "handlers": {
        "stdout": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "json"}
    },
    "root": {"level": "INFO", "handlers": ["stdout"]},
    "loggers": {
        # gunicorn's own access log would say everything a second time.
        "gunicorn.access": {"level": "CRITICAL", "handlers": [], "propagate": False},
        "gunicorn.error": {"level": "INFO", "handlers": ["stdout"], "propagate": False},
    },
}
