"""The HTTP server of the internal port, with its own threads.

It shares only the process with the public port, so it answers even when all request threads are busy.
`internal_answers.py` and, in a verification, `verify/progress.py` make the responses.
"""

from __future__ import annotations

import logging
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"

#: Status, media type and body of a response.
InternalAnswer = tuple[int, str, bytes]

#: Idle connections are closed after this time.
_IDLE_SECONDS = 30
#: More than the kubelet and a few scrapers need. Each open connection has a thread.
_MAX_CONNECTIONS = 32
#: How long a new connection waits while all others are busy with a response. Shorter than a probe's timeout.
_BUSY_SECONDS = 1.0


class OpenConnections:
    """The connections of the internal port.

    At the limit, the connection that has waited longest for its client is closed. So silent and slow clients
    cannot take all threads from the probes.
    """

    def __init__(self, limit: int, seconds: float) -> None:
        self._limit = limit
        self._seconds = seconds
        self._changed = threading.Condition()
        #: The time at which each connection began to wait for its client, the oldest first.
        self._waiting: dict[socket.socket, float] = {}
        self._answering: set[socket.socket] = set()

    def add(self, connection: socket.socket) -> bool:
        """Add a connection. Returns False if all others stay busy with a response for a second.

        A response takes milliseconds, so a probe that meets many of them has to wait, not to be refused.
        """
        with self._changed:
            free = self._changed.wait_for(lambda: len(self._answering) < self._limit, _BUSY_SECONDS)
            if free:
                self._make_room()
                self._waiting[connection] = time.monotonic()
            return free

    def _make_room(self) -> None:
        now = time.monotonic()
        for oldest, since in list(self._waiting.items()):
            full = len(self._waiting) + len(self._answering) >= self._limit
            if not full and now - since < self._seconds:
                break
            del self._waiting[oldest]
            with suppress(OSError):
                oldest.shutdown(socket.SHUT_RDWR)  # its thread ends

    @contextmanager
    def answering(self, connection: socket.socket) -> Iterator[None]:
        """Mark the connection as busy, as a context manager: it is not closed for another one.

        Raises ConnectionAbortedError if it was closed before. `http.server` takes the end of a connection for
        the end of the headers, so half a request would be answered, and would keep a probe out.
        """
        with self._changed:
            if self._waiting.pop(connection, None) is None:
                raise ConnectionAbortedError
            self._answering.add(connection)
        try:
            yield
        finally:
            with self._changed:
                self._answering.discard(connection)
                self._waiting[connection] = time.monotonic()
                self._changed.notify()

    def remove(self, connection: socket.socket) -> None:
        """Forget a connection that is closed."""
        with self._changed:
            self._waiting.pop(connection, None)
            self._answering.discard(connection)
            self._changed.notify()


class InternalServer(ThreadingHTTPServer):
    """Serves GET requests. `answer` returns the response for a path."""

    daemon_threads = True
    #: With the default of 5, probes are dropped when many clients connect at the same time.
    request_queue_size = 128

    def __init__(self, answer: Callable[[str], InternalAnswer], port: int, host: str = "") -> None:
        self.answer = answer
        self.connections = OpenConnections(_MAX_CONNECTIONS, _IDLE_SECONDS)
        if not host and socket.has_dualstack_ipv6():
            self.address_family = socket.AF_INET6
            host = "::"
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        """Accept IPv4 on the same socket."""
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread for the connection, or close it if there are too many."""
        if self.connections.add(request):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        self.connections.remove(request)
        super().shutdown_request(request)

    @property
    def port(self) -> int:
        """The number of the open port."""
        return int(self.server_address[1])

    def handle_error(self, request: object, client_address: object) -> None:
        """Log an error as one JSON line instead of plain text; ignore clients that disconnected."""
        if not isinstance(sys.exception(), OSError):
            logging.getLogger(__name__).exception("A request to the internal port failed.")

    def start(self) -> None:
        """Serve in a thread of its own."""
        threading.Thread(target=self.serve_forever, name="internal", daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    server: InternalServer
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS

    def do_GET(self) -> None:
        with self.server.connections.answering(self.connection):
            status, media_type, body = self.server.answer(self.path.partition("?")[0])
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: probes and scrapes would fill the log."""
