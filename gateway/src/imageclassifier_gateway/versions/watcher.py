"""Watches the routing file. Applies a change within half a second, and ignores an invalid file."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from ..file_state import FileState, file_state
from ..stats import Stats
from .fleet import Fleet, Version, follow
from .routing import RoutingError, parse_routing

#: The kubelet swaps the `..data` symlink of the mounted directory, so each change brings a new file. Polling
#: costs almost nothing, and it works on file systems without inotify.
_POLL_SECONDS = 0.2


class RoutingWatcher:
    """Holds the fleet of the last valid routing file. Any thread may read `fleet` and `error`."""

    def __init__(self, path: Path, stats: Stats, close_after_seconds: float) -> None:
        self.fleet: Fleet | None = None
        self.error: str | None = f"There is no routing file at {path}."
        self._path = path
        self._stats = stats
        self._close_after_seconds = close_after_seconds
        self._seen: FileState | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="routing", daemon=True)

    def start(self) -> None:
        """Read the file, and start the thread that watches it."""
        self.look()
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread, and close all connections."""
        self._stopped.set()
        if self.fleet:
            for version in self.fleet.versions.values():
                version.close()

    def look(self) -> None:
        """Read the file if it has changed."""
        try:
            seen = file_state(self._path)
            if seen == self._seen:
                return
            routing = parse_routing(self._path.read_bytes())
        except (OSError, RoutingError) as error:
            if isinstance(error, RoutingError):
                self._seen = seen
                self.error = str(error)
            elif isinstance(error, FileNotFoundError):
                self._seen = None
                self.error = f"There is no routing file at {self._path}."
            else:
                self._seen = None
                self.error = f"The routing file {self._path} cannot be read: {error.strerror}."
            self._stats.routing_broken.set(1)
            return
        self._seen = seen
        self.fleet = follow(self.fleet, routing, self._close_later)
        self.error = None
        self._stats.routing_broken.set(0)
        self._stats.routing_revision.set(routing.revision)

    def _close_later(self, version: Version) -> None:
        timer = threading.Timer(self._close_after_seconds, version.close)
        timer.daemon = True
        timer.start()

    def _watch(self) -> None:
        while not self._stopped.wait(_POLL_SECONDS):
            try:
                self.look()
            except Exception as error:  # the thread must survive, to read the next file
                logging.getLogger(__name__).exception(
                    "A bug kept the gateway from applying the routing file."
                )
                self.error = f"The gateway could not apply the routing file because of a bug: {error!r}."
                self._stats.routing_broken.set(1)
