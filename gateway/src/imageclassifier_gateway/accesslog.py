"""Logs as JSON lines on stdout. No query strings, no request bodies, no URLs of users: they may hold
secrets."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

ACCESS_LOGGER = "imageclassifier_gateway.access"


class JsonFormatter(logging.Formatter):
    """One JSON object for each record; the dict given as `extra={"fields": ...}` becomes part of it."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def log_access(fields: dict[str, Any]) -> None:
    """Writes the line of one answered request."""
    logging.getLogger(ACCESS_LOGGER).info("request", extra={"fields": fields})


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
