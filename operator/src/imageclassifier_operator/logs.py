"""Logs as one JSON object per line. Lines about an ImageClassifier have its namespace and name."""

import contextvars
import json
import logging
import sys
from datetime import UTC, datetime

current_key: contextvars.ContextVar[tuple[str, str] | None] = contextvars.ContextVar(
    "current_key", default=None
)
"""The namespace and name of the ImageClassifier that the running task reconciles."""


class JsonFormatter(logging.Formatter):
    """Formats a log record as a JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of JSON."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        key = current_key.get()
        if key is not None:
            line["namespace"], line["name"] = key
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def set_up(level: int = logging.INFO) -> None:
    """Write all logs to stdout as JSON; those of kopf and aiohttp only from level warning."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("kopf", "aiohttp", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
