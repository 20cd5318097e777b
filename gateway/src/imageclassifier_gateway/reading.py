"""How long a client may take to send its request, and what happens when many take long."""

from __future__ import annotations

import select
import socket
import threading
import time
from contextlib import suppress

from .slow import SlowRequests

_SWEEP_SECONDS = 0.25
#: The head of a request is one packet or two. While it is read a thread is taken, but no place is counted.
_HEAD_SECONDS = 2.0
#: A request that has not come in whole by then is a slow one.
_SLOW_SECONDS = 0.5


def is_readable(connection: socket.socket, within_milliseconds: int = 0) -> bool:
    """Whether something has arrived and was not read yet, or the end has."""
    poller = select.poll()
    try:
        poller.register(connection, select.POLLIN)
        return bool(poller.poll(within_milliseconds))
    except (OSError, ValueError):  # closed meanwhile
        return True


class Reading:
    """A request that is being read from a socket, with a deadline over all of it."""

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        self.connection = connection
        self.began = time.monotonic()
        self._seconds = seconds
        self.at = self.began + min(seconds, _HEAD_SECONDS)
        self.expired = False
        self.finished = False

    def head_read(self) -> None:
        """The body has all of the time that a request has."""
        self.at = self.began + self._seconds

    def finish(self) -> None:
        """The request has been read: the deadline no longer counts."""
        self.finished = True

    def end_by(self, at: float) -> None:
        """What is still to come is not worth waiting for any longer than to `at`, in monotonic seconds."""
        self.at = at

    def is_slow(self, now: float) -> bool:
        """Whether it takes long, and for its client's sake: what has arrived and was not read yet is ours."""
        return now - self.began >= _SLOW_SECONDS and not is_readable(self.connection)


class ReadingDeadlines:
    """Ends the reading of requests that drip in: per-read timeouts do not, since each byte starts them anew.

    Of those that take long, the ones that began last end at once when there are too many: requests that came
    in whole need the threads and the places. Only the reading side of the socket is shut, so that the client
    can still be told why.
    """

    def __init__(self, seconds: float, slow: SlowRequests) -> None:
        self._seconds = seconds
        self._slow = slow
        self._readings: dict[socket.socket, Reading] = {}
        threading.Thread(target=self._sweep, name="reading-deadlines", daemon=True).start()

    def begin(self, connection: socket.socket) -> Reading:
        reading = self._readings[connection] = Reading(connection, self._seconds)
        return reading

    def of(self, connection: socket.socket) -> Reading | None:
        return self._readings.get(connection)

    def end(self, connection: socket.socket) -> None:
        self._readings.pop(connection, None)

    def _sweep(self) -> None:
        while True:
            time.sleep(_SWEEP_SECONDS)
            now = time.monotonic()
            waiting = [each for each in list(self._readings.values()) if not (each.finished or each.expired)]
            slow = [each for each in waiting if each.is_slow(now)]  # in the order in which they began
            too_many = slow[self._slow.admit_senders(len(slow)) :]
            for reading in waiting:
                if now >= reading.at or reading in too_many:
                    reading.expired = True
                    with suppress(OSError):  # closed meanwhile
                        reading.connection.shutdown(socket.SHUT_RD)
