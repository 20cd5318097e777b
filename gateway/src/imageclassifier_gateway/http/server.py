"""The HTTP server of the public port: an event loop reads requests and sends responses, threads answer.

A request gets a thread when it has arrived whole. There are as many threads as places for requests, so none
waits in a queue: one more is refused by the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from ..access.api_keys import KEY_NAME
from ..gateway import Gateway
from ..limits.admission import ARRIVED, FIRST_BYTE_AT, TICKET, Ticket
from ..problems import Problem, internal_error
from .connection import Connection, Request, State
from .connection_limits import Connections
from .refusals import refusal
from .request_parser import RequestHead
from .tls import TlsProtocol
from .waiting_room import WaitingRoom
from .wsgi import Response, WsgiApp, call, make_environ, split_target

#: A connection costs a file descriptor and about 4 KB.
_CONNECTIONS = 2000
#: File descriptors for everything else: model servers, fetches, the internal port.
_OTHER_DESCRIPTORS = 512
_BACKLOG = 1024
#: Linux keeps a new connection for so long, or until its first byte, before the gateway accepts it. So a
#: silent connection costs the gateway nothing.
_SILENT_SECONDS = 5
_SWEEP_SECONDS = 0.25
#: How long a refusal of an API key, of `check`, or of a body of at least _LARGE_BYTES, waits before it is
#: sent. Many clients send the next request as soon as they have a response. Refused at once, 64 of them with
#: URLs took more than half of a core, and four with damaged files of 1 MB all of it.
_REFUSAL_SECONDS = 0.2
_LARGE_BYTES = 64 * 1024
#: The response to `OPTIONS *`, HTTP's own ping: it shows that this port answers, and costs no thread.
_PONG = Response("204 No Content", [("Allow", "GET, HEAD, POST, OPTIONS")], b"")


def bind(port: int) -> socket.socket:
    """A listening socket on every address of this machine. Raises OSError."""
    listener = _listen(port)
    if hasattr(socket, "TCP_DEFER_ACCEPT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, _SILENT_SECONDS)
    return listener


def _listen(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        with suppress(OSError):  # IPv6 may be switched off
            return socket.create_server(
                ("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=_BACKLOG
            )
    return socket.create_server(("", port), backlog=_BACKLOG)


def _is_ping(head: RequestHead) -> bool:
    return head.method == "OPTIONS" and head.target == b"*"


def raise_descriptor_limit() -> int:
    """Raises the soft limit of open files to the hard one, and returns it.

    Each connection is a file descriptor, and the usual soft limit of 1,024 is less than our connections.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


class HttpServer:
    """Serves one WSGI application until SIGTERM."""

    def __init__(
        self,
        gateway: Gateway,
        app: WsgiApp,
        wants_body: Callable[[str, str], bool],
        check: Callable[[str, bytes], None],
    ) -> None:
        """`wants_body(method, path)` is false for a request that `app` refuses whatever its body is.

        `check(path, body)` raises Problem for a request that `app` would refuse because others take all
        places.
        """
        settings = gateway.settings
        self.timeout_seconds = settings.timeout_seconds
        self.max_body_bytes = settings.max_body_bytes
        self.buffer = bytearray(64 * 1024)
        self.draining = False
        self._gateway = gateway
        self._app = app
        self._wants_body = wants_body
        self._check = check
        limit = max(64, min(_CONNECTIONS, raise_descriptor_limit() - _OTHER_DESCRIPTORS))
        self._connections = Connections(limit, settings.max_buffered_bytes // 2, gateway.stats)
        self._threads = ThreadPoolExecutor(settings.max_requests_in_flight, thread_name_prefix="request")
        self._opening = set[asyncio.Task[None]]()
        self._loop: asyncio.AbstractEventLoop
        self._told_to_end: asyncio.Event

    # What its connections call (connection.Server):

    def open_ticket(self) -> Ticket:
        """A ticket for a request that is still arriving."""
        return self._gateway.admission.open()

    def added(self, connection: Connection) -> None:
        """Record a new connection."""
        self._connections.add(connection)

    def changed(self, connection: Connection, before: State) -> None:
        """Record that the state of a connection changed."""
        self._connections.change(connection, before)

    def make_room(self, upload: Connection, count_bytes: int) -> None:
        """Make room for bytes of a body that is arriving. Raises Problem."""
        self._connections.make_room(upload, count_bytes)

    def release(self, count_bytes: int) -> None:
        """Release bytes that `make_room` reserved."""
        self._connections.release(count_bytes)

    def check_key(self, head: RequestHead) -> str:
        """The name of the request's API key; empty if it needs none. Raises Problem."""
        if self._gateway.api_keys is None or _is_ping(head):
            return ""
        return self._gateway.api_keys.check(head.method, split_target(head.target)[0], head.values)

    def wants_body(self, head: RequestHead) -> bool:
        """Whether a route accepts the method and the path."""
        return self._wants_body(head.method, split_target(head.target)[0])

    def refuse(self, problem: Problem, head: RequestHead, first_byte_at: float, keep: bool) -> bytes:
        """The response with the problem, as bytes."""
        return self._refusal(problem, head, first_byte_at).serialise(head, keep)

    def _refusal(self, problem: Problem, head: RequestHead, first_byte_at: float) -> Response:
        gateway = self._gateway
        return refusal(problem, head, first_byte_at, gateway.stats, gateway.settings.cors_allowed_origins)

    def refuse_later(
        self, connection: Connection, problem: Problem, head: RequestHead, first_byte_at: float
    ) -> None:
        """Report the problem after a pause."""
        self._loop.call_later(_REFUSAL_SECONDS, self._refuse_now, connection, problem, head, first_byte_at)

    def _refuse_now(
        self, connection: Connection, problem: Problem, head: RequestHead, first_byte_at: float
    ) -> None:
        self._send(connection, head, self._refusal(problem, head, first_byte_at), connection.may_be_kept)

    def answer(self, connection: Connection, request: Request) -> None:
        """Take a place and give the request to a thread. Raises Problem if there is no place."""
        if _is_ping(request.head):
            request.ticket.close()
            self._send(connection, request.head, _PONG, connection.may_be_kept)
            return
        try:
            self._check(split_target(request.head.target)[0], request.body)
        except Problem as problem:
            self._loop.call_later(_REFUSAL_SECONDS, self._send_refusal, connection, request, problem)
            return
        environ = make_environ(
            request.head,
            request.body,
            request.peer,
            self._gateway.settings.port,
            {
                TICKET: request.ticket,
                FIRST_BYTE_AT: request.first_byte_at,
                ARRIVED: time.monotonic(),
                KEY_NAME: request.key_name,
                "wsgi.url_scheme": "http" if self._gateway.certificate is None else "https",
            },
        )
        request.ticket.take_place()
        self._threads.submit(self._work, connection, request, environ)

    def _work(self, connection: Connection, request: Request, environ: dict[str, object]) -> None:
        """Answers one request, in a request thread."""
        try:
            response = call(self._app, environ)
        except Exception:
            logging.getLogger(__name__).exception("A request failed outside of the Flask application.")
            problem = internal_error("the time of its log line")
            response = self._refusal(problem, request.head, request.first_byte_at)
        finally:
            environ.clear()
            request.ticket.close()
        with suppress(RuntimeError):  # the event loop has ended
            self._loop.call_soon_threadsafe(self._finish, connection, request, response)

    def _finish(self, connection: Connection, request: Request, response: Response) -> None:
        keep, head = connection.may_be_kept, request.head
        if response.status >= "4" and len(request.body) >= _LARGE_BYTES:
            connection.drop_request()  # its body would wait too
            self._loop.call_later(_REFUSAL_SECONDS, self._send, connection, head, response, keep)
        else:
            self._send(connection, head, response, keep)

    def _send_refusal(self, connection: Connection, request: Request, problem: Problem) -> None:
        request.ticket.close()
        self._refuse_now(connection, problem, request.head, request.first_byte_at)

    def _send(self, connection: Connection, head: RequestHead, response: Response, keep: bool) -> None:
        """Send a response. `keep`: whether the connection could be kept before the response had to wait."""
        keep = keep and not self.draining
        connection.send(response.serialise(head, keep), keep)

    # The process:

    async def serve(self, listener: socket.socket) -> None:
        """Runs until SIGTERM and the drain after it, or SIGINT."""
        self._loop = asyncio.get_running_loop()
        self._told_to_end = asyncio.Event()
        drained = asyncio.Event()
        self._loop.add_signal_handler(signal.SIGTERM, self._told_to_end.set)
        self._loop.add_signal_handler(signal.SIGINT, drained.set)
        room = WaitingRoom(listener, self._connections, self._open)
        room.open()
        sweep = asyncio.create_task(self._sweep())
        drain = asyncio.create_task(self._drain(room, drained))
        waiting = asyncio.create_task(drained.wait())
        # A failure of either task ends the process: the container must not live on without them.
        done, _ = await asyncio.wait({sweep, drain, waiting}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        room.close()

    def _open(self, accepted: socket.socket) -> None:
        """Give asyncio a connection whose first byte has arrived."""
        certificate = self._gateway.certificate
        if certificate is not None and certificate.context is None:
            accepted.close()  # without a certificate there is nothing to say
            return
        task = self._loop.create_task(self._open_transport(accepted))
        self._opening.add(task)  # the event loop keeps weak references only
        task.add_done_callback(self._opening.discard)

    async def _open_transport(self, accepted: socket.socket) -> None:
        await self._loop.connect_accepted_socket(self._protocol, accepted)

    def _protocol(self) -> asyncio.BaseProtocol:
        certificate = self._gateway.certificate
        if certificate is None or certificate.context is None:
            return Connection(self)
        return TlsProtocol(certificate.context, Connection(self), self.buffer)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            self._connections.expire()
            if self._gateway.certificate is not None:
                self._gateway.certificate.look()

    async def _drain(self, room: WaitingRoom, drained: asyncio.Event) -> None:
        """Not ready at once; go on answering until the endpoints have noticed; only then stop."""
        await self._told_to_end.wait()
        self.draining = True
        self._gateway.begin_draining()
        settings = self._gateway.settings
        await asyncio.sleep(settings.drain_seconds)
        room.close()
        room.admit_all()
        if self._opening:
            await asyncio.wait(self._opening)
        for connection in self._connections.of(State.FRESH, State.IDLE):
            connection.close_if_unused()
        # A request that is arriving and one that is being answered may take this long each.
        with suppress(TimeoutError):
            async with asyncio.timeout(2 * settings.timeout_seconds + 5):
                await self._connections.wait_for_none()
        drained.set()
