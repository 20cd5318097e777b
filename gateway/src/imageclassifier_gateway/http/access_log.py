"""Logs as JSON lines on stdout.

They contain no query strings, bodies or URLs of clients, which may contain secrets.
"""

from __future__ import annotations

import json
import logging
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ..tracing import NO_SPAN, Span
from .log_writer import LOG

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}\Z")

ACCESS_LOGGER = "imageclassifier_gateway.access"


def request_id_of(given: str) -> str:
    """The client's X-Request-ID if it is valid, otherwise a new one."""
    return given if _REQUEST_ID.match(given) else uuid.uuid4().hex


@dataclass
class Trace:
    """What the access log line of a request needs (`flask.g.trace`)."""

    first_byte_at: float
    request_id: str
    traceparent: str | None
    span: Span = NO_SPAN
    log_fields: dict[str, Any] = field(default_factory=dict)
    #: The time in each stage so far (stats.STAGES), including a stage in which the request fails.
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure one stage, as a context manager."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - began


#: Created once, because `json.dumps` with `ensure_ascii=False` creates a new encoder for each call.
_encode = json.JSONEncoder(ensure_ascii=False).encode


class JsonFormatter(logging.Formatter):
    """One JSON object for each record."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one JSON line."""
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
    """Write the access log line of one request, in the format of JsonFormatter.

    It does not use `logging`, whose records and locks cost more than twice as much.
    """
    line = {"time": _timestamp(time.time()), "level": "info", "logger": ACCESS_LOGGER, "message": "request"}
    LOG.write(_encode(line | fields))


def _timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


class QueueHandler(logging.Handler):
    """Passes the records of `logging` to the log writer."""

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the line of the record."""
        LOG.write(self.format(record))


def configure_logging() -> None:
    """Send all records of `logging` to stdout, as one JSON object per line."""
    handler = QueueHandler()
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.captureWarnings(True)  # Pillow warns about damaged pictures, as plain text on stderr
