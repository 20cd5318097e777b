"""The deadlines by which requests must have been read from their sockets."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress

_SWEEP_SECONDS = 0.25


class Reading:
    """A request that is being read from a socket, with a deadline over all of it."""

    def __init__(self, connection: socket.socket, at: float) -> None:
        self.connection = connection
        self.at = at
        self.expired = False
        self.finished = False

    def finish(self) -> None:
        """The request has been read: the deadline no longer counts."""
        self.finished = True

    def end_by(self, at: float) -> None:
        """What is still to come is not worth waiting for any longer than to `at`, in monotonic seconds."""
        self.at = at


class ReadingDeadlines:
    """Ends the reading of requests that drip in: per-read timeouts do not, since each byte starts them anew.

    Only the reading side of the socket is shut, so that the client can still be told why.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._readings: dict[socket.socket, Reading] = {}
        threading.Thread(target=self._sweep, name="reading-deadlines", daemon=True).start()

    def begin(self, connection: socket.socket) -> Reading:
        reading = Reading(connection, time.monotonic() + self._seconds)
        self._readings[connection] = reading
        return reading

    def of(self, connection: socket.socket) -> Reading | None:
        return self._readings.get(connection)

    def end(self, connection: socket.socket) -> None:
        self._readings.pop(connection, None)

    def _sweep(self) -> None:
        while True:
            time.sleep(_SWEEP_SECONDS)
            now = time.monotonic()
            for reading in list(self._readings.values()):
                if now >= reading.at and not reading.finished and not reading.expired:
                    reading.expired = True
                    with suppress(OSError):  # closed meanwhile
                        reading.connection.shutdown(socket.SHUT_RD)
