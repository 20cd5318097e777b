"""A gunicorn worker of threads: slow clients are cut off, an answer leaves in one piece, and the end loses no
request."""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any

from gunicorn.http import wsgi
from gunicorn.http.errors import (
    InvalidResponseHeader,
    InvalidResponseHeaderName,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
)
from gunicorn.workers import gthread

from .accesslog import log_access
from .problems import MEDIA_TYPE, Problem, internal_error
from .reading import ReadingDeadlines, is_readable

#: A busy client's next request is taken by the thread that has just answered it, if it comes within a moment:
#: going through the poller and the queue of threads costs a tenth of a small request's CPU time. Not for
#: ever, since there may be more connections than threads.
_LINGER_MILLISECONDS = 2
_REQUESTS_IN_A_ROW = 16
#: How long a client may keep its end of a closed connection open (as gunicorn), and how much it may go on
#: sending.
_CLOSING_SECONDS = 2.0
_CLOSING_BYTES = 1024 * 1024

Environ = dict[str, Any]
WsgiApp = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


def _has_body(environ: Environ) -> bool:
    return environ.get("CONTENT_LENGTH", "0") != "0" or "HTTP_TRANSFER_ENCODING" in environ


class _Body:
    """A request's body that reports broken chunks as an OSError, which Werkzeug knows to be the client's
    fault."""

    def __init__(self, body: Any) -> None:
        self._body = body

    def read(self, size: int = -1) -> bytes:
        try:
            return bytes(self._body.read(size if size >= 0 else None))
        except ParseException as error:
            raise OSError(type(error).__name__) from None


@dataclass(eq=False)
class _Closing:
    """A connection that we have ended and the client has not: to close it at once would send a reset, which
    can take the answer away from under the client (RFC 9112, 9.6)."""

    connection: Any
    until: float
    received_bytes: int = 0


class _Outbox(list[bytes]):
    """Stands in for the socket while an answer is put together."""

    sendall = list.append


def _is_clients_fault(error: BaseException) -> bool:
    return isinstance(error, ParseException) and not isinstance(
        error, InvalidResponseHeader | InvalidResponseHeaderName
    )


def _unreadable(error: BaseException) -> Problem:
    if isinstance(error, LimitRequestLine):
        return Problem(
            "url-too-long", "The request's path and query are too long. Send what is long in the body."
        )
    if isinstance(error, LimitRequestHeaders):
        return Problem(
            "headers-too-large",
            "The request's headers are too many or too long. Send fewer cookies and headers.",
        )
    return Problem("bad-request", "This is not a valid HTTP/1.1 request. Use an HTTP client to send it.")


class GatewayWorker(gthread.ThreadWorker):  # type: ignore[misc]
    """gunicorn's threaded worker, with total deadlines for reading a request and for sending its answer, and
    a drain before it stops."""

    wsgi: WsgiApp

    def init_process(self) -> None:
        self.draining = False
        self.closing: deque[_Closing] = deque()
        self._told_to_end = threading.Event()
        threading.Thread(target=self._drain, name="drain", daemon=True).start()
        super().init_process()

    def load_wsgi(self) -> None:
        super().load_wsgi()
        self.readings = ReadingDeadlines(self.app.settings.timeout_seconds, self.app.gateway.slow)

    def handle(self, conn: Any) -> Any:
        # gunicorn lets a thread wait 5 s for a new connection's first byte; its poller can do that without a
        # thread.
        if not conn.initialized and not conn.wait_for_data(0):
            return gthread._DEFER
        for _ in range(_REQUESTS_IN_A_ROW):
            self.readings.begin(conn.sock)
            try:
                keep = super().handle(conn)
            finally:
                self.readings.end(conn.sock)
            if keep is not True or not self.alive or not is_readable(conn.sock, _LINGER_MILLISECONDS):
                return keep
        return True

    def handle_request(self, req: Any, conn: Any) -> bool:
        """Answers one request; true when the connection may be used for another.

        As gunicorn's own, which also writes an access log nobody reads, calls hooks that nobody set, and
        sends the head of an answer in a packet of its own: together a tenth of a small request's CPU time.
        """
        if self.draining:
            # Kept-alive clients come back on a new connection, which leads to another pod.
            req.force_close()
        response, environ = wsgi.create(req, conn.sock, conn.client, conn.server, self.cfg)
        environ["wsgi.multithread"] = True
        environ["wsgi.input"] = _Body(environ["wsgi.input"])
        reading = environ["imageclassifier.reading"] = self.readings.of(conn.sock)
        if reading is not None:
            if _has_body(environ):
                reading.head_read()
            else:
                reading.finish()
        if not self.alive or len(self.keepalived_conns) >= self.max_keepalived:
            response.force_close()
        response.sock = outbox = _Outbox()
        parts = self.wsgi(environ, response.start_response)
        if reading is not None and reading.expired:  # nothing more can be read from this connection
            response.force_close()
        try:
            for part in parts:
                response.write(part)
            response.close()
        finally:
            if close := getattr(parts, "close", None):
                close()
        return self._send(conn.sock, b"".join(outbox)) and not response.should_close()

    def _send(self, connection: socket.socket, answer: bytes) -> bool:
        """Sends an answer within the time that a request may take; false when the client did not take it.

        A client that asks and does not read would keep a thread for ever.
        """
        connection.settimeout(self.app.settings.timeout_seconds)  # of all of `sendall`, not of each packet
        try:
            connection.sendall(answer)
        except TimeoutError:
            return False
        finally:
            connection.settimeout(None)  # gunicorn reads from sockets that block
        return True

    def finish_request(self, conn: Any, fs: Future[Any]) -> None:
        """As gunicorn's, but a client that does not close its end keeps nobody waiting: gunicorn waits for it
        in the one thread that accepts and polls for all."""
        if fs.cancelled() or fs.exception() is not None or fs.result():
            super().finish_request(conn, fs)
            return
        closing = _Closing(conn, time.monotonic() + _CLOSING_SECONDS)
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._discard, closing))
        except (OSError, ValueError):  # the client has gone already
            self._close(conn)
        else:
            self.closing.append(closing)

    def _discard(self, closing: _Closing, _: socket.socket) -> None:
        try:
            received = len(closing.connection.sock.recv(64 * 1024))
        except BlockingIOError:
            return
        except OSError:
            received = 0
        closing.received_bytes += received
        if not received or closing.received_bytes > _CLOSING_BYTES:
            self.closing.remove(closing)
            self._end(closing)

    def _end(self, closing: _Closing) -> None:
        self.poller.unregister(closing.connection.sock)
        self._close(closing.connection)

    def _close(self, conn: Any) -> None:
        self.nr_conns -= 1
        conn.close()

    def murder_pending(self) -> None:
        """Called every second at least: closes what has waited long enough for its client."""
        now = time.monotonic()
        while self.closing and self.closing[0].until <= now:
            self._end(self.closing.popleft())
        if not self.alive:
            # Connections on which nothing was ever sent must not hold up the end.
            for conn in self.pending_conns:
                conn.timeout = min(conn.timeout, now + _CLOSING_SECONDS)
        super().murder_pending()

    def handle_exit(self, sig: int, frame: Any) -> None:
        """SIGTERM. Only wakes the thread that drains: to start one here could wait for a lock that the
        interrupted thread holds."""
        if not self.draining:
            self.draining = True
            self._told_to_end.set()

    def _drain(self) -> None:
        """Not ready at once; go on answering until the endpoints have noticed; only then stop."""
        self._told_to_end.wait()
        if self.app.gateway is not None:  # else it was told before it had begun
            self.app.gateway.begin_draining()
        time.sleep(self.app.settings.drain_seconds)
        super().handle_exit(signal.SIGTERM, None)

    def handle_quit(self, sig: int, frame: Any) -> None:
        """SIGINT and SIGQUIT: end now. gunicorn's own handler waits for a lock that the interrupted thread
        may hold."""
        os._exit(0)

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: BaseException) -> None:
        """What cannot even be parsed is answered, counted and logged in the same form as everything else, and
        never as our fault."""
        request_id = uuid.uuid4().hex
        if _is_clients_fault(exc):
            problem = _unreadable(exc)
        else:
            # Not by gunicorn's own line, which has the request's query in it.
            self.log.error("request %s failed", request_id, exc_info=exc)
            problem = internal_error(request_id)
        stats = self.app.gateway.stats
        stats.problems.labels(problem.cause).inc()
        stats.requests.labels("none", problem.status).inc()
        # The error's type alone: its text is what was sent, a query with a secret or the bytes of a picture.
        log_access(
            {
                "route": "none",
                "status": problem.status,
                "request_id": request_id,
                "problem": problem.cause,
                "error": type(exc).__name__,
            }
        )
        body = json.dumps(problem.document(request_id)).encode()
        head = f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}\r\nConnection: close\r\n"
        head += f"X-Request-ID: {request_id}\r\nContent-Type: {MEDIA_TYPE}\r\n"
        with suppress(OSError):  # the client may have gone
            self._send(client, f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
