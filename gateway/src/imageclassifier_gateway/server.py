"""gunicorn as this gateway needs it: one process of threads, slow clients cut off, and an end that loses no
request."""

from __future__ import annotations

import json
import select
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gunicorn.app.base import BaseApplication
from gunicorn.http.errors import InvalidResponseHeader, InvalidResponseHeaderName, ParseException
from gunicorn.workers import gthread

from .accesslog import LOGGING
from .config import Settings
from .problems import MEDIA_TYPE, Problem

if TYPE_CHECKING:
    from .gateway import Gateway

_SWEEP_SECONDS = 0.25
#: Longer than the idle timeouts of the usual proxies (60 s): the side that keeps a connection longer never
#: closes it under a request that is just being sent.
_KEEPALIVE_SECONDS = 75
#: Idle and slow connections cost a file descriptor each, not a thread.
_CONNECTIONS = 2000
#: The master ends a worker that does not report for so long; reporting needs no free request thread.
_WORKER_TIMEOUT_SECONDS = 60

#: A busy client's next request is taken by the thread that has just answered it, if it comes within a moment:
#: going through the poller and the queue of threads costs a tenth of a small request's CPU time. Not for
#: ever, since there may be more connections than threads.
_LINGER_MILLISECONDS = 2
_REQUESTS_IN_A_ROW = 16
#: Where the worker's heartbeat file goes: writable even where the root file system is not.
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108

Environ = dict[str, Any]
WsgiApp = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


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


def _is_readable(connection: socket.socket) -> bool:
    """Whether the next request begins to arrive within a moment."""
    poller = select.poll()
    poller.register(connection, select.POLLIN)
    return bool(poller.poll(_LINGER_MILLISECONDS))


class _Body:
    """A request's body that reports broken chunks as an OSError, which Werkzeug knows to be the client's
    fault."""

    def __init__(self, body: Any) -> None:
        self._body = body

    def read(self, size: int = -1) -> bytes:
        try:
            return bytes(self._body.read(size if size >= 0 else None))
        except ParseException as error:
            raise OSError(str(error)) from error


class GatewayWorker(gthread.ThreadWorker):  # type: ignore[misc]
    """gunicorn's threaded worker, with a total deadline for reading a request and a drain before it stops."""

    def init_process(self) -> None:
        self.draining = False
        self.readings = ReadingDeadlines(self.app.settings.timeout_seconds)
        super().init_process()

    wsgi: WsgiApp

    def load_wsgi(self) -> None:
        super().load_wsgi()
        application = self.wsgi

        def with_reading(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
            environ["imageclassifier.reading"] = self.readings.of(environ["gunicorn.socket"])
            environ["wsgi.input"] = _Body(environ["wsgi.input"])
            return application(environ, start_response)

        self.wsgi = with_reading

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
            if keep is not True or not self.alive or not _is_readable(conn.sock):
                return keep
        return True

    def handle_exit(self, sig: int, frame: Any) -> None:
        """SIGTERM: not ready at once; go on answering until the endpoints have noticed; only then stop."""
        if self.draining:
            return
        self.draining = True
        self.app.gateway.begin_draining()
        timer = threading.Timer(self.app.settings.drain_seconds, super().handle_exit, (sig, frame))
        timer.daemon = True
        timer.start()

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: BaseException) -> None:
        """What cannot even be parsed is answered in the same form as everything else, and never as our
        fault."""
        if not isinstance(exc, ParseException) or isinstance(
            exc, InvalidResponseHeader | InvalidResponseHeaderName
        ):
            super().handle_error(req, client, addr, exc)
            return
        self.log.info("unreadable request: %s", type(exc).__name__)
        problem = Problem("bad-request", f"This is not a valid HTTP request ({type(exc).__name__}).")
        body = json.dumps(problem.document(uuid.uuid4().hex)).encode()
        head = f"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: {MEDIA_TYPE}\r\n"
        with suppress(OSError):  # the client may have gone
            client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)


def _close_while_draining(worker: GatewayWorker, request: Any) -> None:
    """Asks kept-alive clients to come back on a new connection, which leads to another pod."""
    if worker.draining:
        request.force_close()


class GatewayServer(BaseApplication):  # type: ignore[misc]
    """gunicorn's application: settings in, the gateway's WSGI application out. It is loaded in the worker,
    after the fork, since gRPC must not be started before."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.gateway: Gateway | None = None
        super().__init__()

    def load_config(self) -> None:
        settings = self.settings
        values = {
            "bind": [f"[::]:{settings.port}" if socket.has_dualstack_ipv6() else f"0.0.0.0:{settings.port}"],
            "workers": 1,
            "worker_class": GatewayWorker,
            "threads": settings.threads,
            "worker_connections": _CONNECTIONS,
            "keepalive": _KEEPALIVE_SECONDS,
            "timeout": _WORKER_TIMEOUT_SECONDS,
            "graceful_timeout": int(settings.drain_seconds + 2 * settings.timeout_seconds) + 5,
            "pre_request": _close_while_draining,
            "logconfig_dict": LOGGING,
            "control_socket_disable": True,
        }
        if _SHARED_MEMORY.is_dir():
            values["worker_tmp_dir"] = str(_SHARED_MEMORY)
        for name, value in values.items():
            self.cfg.set(name, value)

    def load(self) -> WsgiApp:
        from .app import create_app
        from .gateway import build_gateway
        from .internal import InternalServer

        gateway = build_gateway(self.settings)
        self.gateway = gateway
        InternalServer(gateway, self.settings.internal_port).start()
        app = create_app(gateway)
        gateway.start()
        return app
