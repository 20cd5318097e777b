"""Writes log lines to stdout in a separate thread, so that a blocked stdout blocks no request."""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

#: About 2 MB of access log lines. Further lines are dropped while nobody reads stdout.
_MAX_WAITING_LINES = 4096
#: The thread writes queued lines together, up to this many bytes in one system call.
_BATCH_BYTES = 64 * 1024


class LogWriter:
    """A bounded queue of log lines and the thread that writes them.

    Before `start` and after `close`, the caller writes each line itself, at once.
    """

    def __init__(self) -> None:
        self._queue: queue.Queue[bytes | None] = queue.Queue(_MAX_WAITING_LINES)
        self._thread: threading.Thread | None = None
        self._on_drop: Callable[[], object] = lambda: None
        self._dropped = 0
        self._lock = threading.Lock()

    def start(self, on_drop: Callable[[], object]) -> None:
        """Start the thread that writes. `on_drop` is called for each dropped line."""
        self._on_drop = on_drop
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def close(self, seconds: float) -> None:
        """Stop the thread; wait at most `seconds` for it to write the queued lines."""
        thread, self._thread = self._thread, None
        if thread is not None:
            with suppress(queue.Full):
                self._queue.put(None, timeout=seconds)
                thread.join(seconds)

    def write(self, line: str) -> None:
        """Queue one line. Never blocks while the thread runs."""
        data = f"{line}\n".encode("utf-8", "replace")
        if self._thread is None:
            _write(data)
            return
        try:
            self._queue.put_nowait(data)
        except queue.Full:
            with self._lock:
                self._dropped += 1
            self._on_drop()

    def _run(self) -> None:
        while True:
            line = self._queue.get()
            batch = bytearray()
            while line is not None:
                batch += line
                if len(batch) >= _BATCH_BYTES or self._queue.empty():
                    break
                line = self._queue.get()
            _write(batch)
            self._report_dropped()
            if line is None:
                return

    def _report_dropped(self) -> None:
        with self._lock:
            dropped, self._dropped = self._dropped, 0
        if dropped:
            report = {
                "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "level": "warning",
                "logger": __name__,
                "message": f"Dropped {dropped} log lines because stdout was blocked. "
                "Check what reads the container's log.",
            }
            _write(f"{json.dumps(report)}\n".encode())


def _write(data: bytes | bytearray) -> None:
    rest = memoryview(data)
    with suppress(OSError):  # nobody reads the log: no reason to fail a request
        while rest:
            rest = rest[os.write(sys.stdout.fileno(), rest) :]


#: The writer of this process.
LOG = LogWriter()
