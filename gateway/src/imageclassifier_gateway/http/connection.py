"""One connection of a client: reads a request, sends the response, then keeps or closes the connection.

All of this runs in the event loop, so a slow or silent client costs a few kilobytes and no thread. A request
gets a request thread only after its last byte has arrived.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from ..limits.admission import Ticket
from ..problems import Problem
from .request_parser import RequestHead, RequestParser

#: Timeout of a connection that never sent a byte. It is short, because such connections cost an attacker
#: nothing.
FRESH_SECONDS = 5.0
#: Longer than the idle timeout of the usual proxies (60 s). So the proxy closes an idle connection first, and
#: the gateway never closes one while a request is on its way.
_IDLE_SECONDS = 75.0
#: Timeout of a request's head, which is one or two packets.
_HEAD_SECONDS = 5.0
#: How long, and for how many bytes, the gateway reads on after its response. Closing at once would send a
#: reset, and the client could lose the response (RFC 9112, 9.6).
_LINGER_SECONDS = 3.0
_LINGER_BYTES = 64 * 1024 * 1024
#: Bodies are read in larger steps. The smaller step limits how much of its next request a client can send
#: ahead.
_BODY_STEP_BYTES = 64 * 1024
_HEAD_STEP_BYTES = 16 * 1024

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class State(Enum):
    """What a connection waits for."""

    FRESH = "never used"
    IDLE = "the next request"
    HEAD = "the rest of a head"
    BODY = "the rest of a body"
    WORKING = "a request thread"
    ANSWERING = "the client to read its response"
    LINGERING = "the client to close"
    CLOSED = "nothing"


@dataclass(frozen=True)
class Request:
    """A request with all of the bytes that the gateway reads of it."""

    head: RequestHead
    body: bytes
    first_byte_at: float
    """When its first byte arrived, in monotonic seconds. The request's deadline counts from here."""
    peer: str
    ticket: Ticket
    key_name: str = ""
    """The name of its API key; empty if it needs none."""


class Server(Protocol):
    """What a connection needs of its server."""

    timeout_seconds: float
    max_body_bytes: int
    buffer: bytearray
    """The receive buffer of all connections: the event loop fills it for one connection at a time."""

    @property
    def draining(self) -> bool:
        """Whether the server closes each connection after its next response."""

    def open_ticket(self) -> Ticket:
        """A ticket for a request that is still arriving."""

    def make_room(self, upload: Connection, count_bytes: int) -> None:
        """Reserve memory for `count_bytes` of a body that is arriving. Raises Problem if there is none."""

    def release(self, count_bytes: int) -> None:
        """Release memory that `make_room` reserved."""

    def check_key(self, head: RequestHead) -> str:
        """The name of the request's API key; empty if it needs none. Raises Problem."""

    def wants_body(self, head: RequestHead) -> bool:
        """Whether to read the body: False when the server refuses the request by its head alone."""

    def answer(self, connection: Connection, request: Request) -> None:
        """Start to handle the request. It ends with `Connection.send`. Raises Problem when overloaded."""

    def refuse(self, problem: Problem, head: RequestHead, first_byte_at: float, keep: bool) -> bytes:
        """The bytes of the response that reports the problem."""

    def refuse_later(
        self, connection: Connection, problem: Problem, head: RequestHead, first_byte_at: float
    ) -> None:
        """Report the problem after a pause, with `Connection.send`."""

    def added(self, connection: Connection) -> None:
        """Record a new connection."""

    def changed(self, connection: Connection, before: State) -> None:
        """Record that the state of a connection changed."""


class Connection(asyncio.BufferedProtocol):
    """The protocol of one connection."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._transport: asyncio.Transport = None  # type: ignore[assignment]  # set when connected
        self.state = State.FRESH
        self.since = time.monotonic()
        self.state_ends_at = self.since + FRESH_SECONDS
        #: Bytes of the body that is arriving.
        self.arriving_bytes = 0
        self._parser: RequestParser | None = None
        self._ticket: Ticket | None = None
        self._first_byte_at = 0.0
        self._key_name = ""
        self._ahead = b""
        self._keep = False
        self._writing_paused = False
        self._client_is_done = False
        self._discarded_bytes = 0

    # What asyncio calls:

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Record the connection."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=0)  # so that `resume_writing` means that all is sent
        self._server.added(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        """The shared receive buffer, limited to the bytes that the current state may read."""
        size = _HEAD_STEP_BYTES
        if self.state is State.BODY and self._parser is not None:
            missing = self._parser.missing_bytes
            size = _BODY_STEP_BYTES if missing is None else min(missing, _BODY_STEP_BYTES)
        elif self.state is State.LINGERING:
            size = _BODY_STEP_BYTES
        return memoryview(self._server.buffer)[:size]

    def buffer_updated(self, nbytes: int) -> None:
        """Parse the bytes that arrived, or discard them while lingering."""
        if self.state is State.LINGERING:
            self._discarded_bytes += nbytes
            if self._discarded_bytes > _LINGER_BYTES:
                self.abort()
            return
        self._received(memoryview(self._server.buffer)[:nbytes])

    def eof_received(self) -> bool:
        """Record that the client sends nothing more."""
        self._client_is_done = True
        if self.state is State.BODY:
            self._refuse(Problem("bad-request", "The body is shorter than its Content-Length."))
        return self.state in (State.WORKING, State.ANSWERING)

    def pause_writing(self) -> None:
        """Record that the client does not read fast enough."""
        self._writing_paused = True

    def resume_writing(self) -> None:
        """Continue after the response was sent."""
        self._writing_paused = False
        if self.state is State.ANSWERING:
            self._sent()

    def connection_lost(self, exc: Exception | None) -> None:
        """Free the memory and the ticket of the connection."""
        if self.state is not State.CLOSED:
            self._close()

    # What the server calls:

    def send(self, response: bytes, keep: bool) -> None:
        """Send the response to the current request. Call it in the event loop."""
        if self.state is not State.WORKING:
            return  # the client has disconnected
        self._send(response, keep)

    def drop_request(self) -> None:
        """Free the memory and the ticket of the request. Its response can still be sent."""
        self._release()
        if self._parser is not None:
            self._parser.close()
            self._parser = None
        if self._ticket is not None:
            self._ticket.close()
            self._ticket = None

    def expire(self) -> None:
        """End the current state, which has lasted too long."""
        if self.state is State.BODY:
            self._refuse(
                Problem(
                    "body-too-slow",
                    f"The request did not arrive within {self._server.timeout_seconds:g} seconds. "
                    "Send a smaller picture, or use a faster connection.",
                )
            )
        else:
            self.abort()

    def stop_upload(self) -> None:
        """Refuse this upload, to free its memory for other uploads."""
        self._refuse(
            Problem(
                "body-too-slow",
                "The gateway stopped the upload because it was slow and other requests need its memory. "
                "Retry, or send a smaller picture.",
            )
        )

    def close_if_unused(self) -> None:
        """Close the connection if it has no request in progress."""
        if self.state in (State.FRESH, State.IDLE) and not self._ahead:
            self._linger()

    def abort(self) -> None:
        """Close the connection at once, in any state."""
        self._close()
        self._transport.abort()

    # Reading:

    def _received(self, data: memoryview) -> None:
        try:
            self._read(data)
        except Problem as problem:
            self._refuse(problem)

    def _read(self, data: memoryview) -> None:
        if self._parser is None:
            self._parser, self._first_byte_at = RequestParser(), time.monotonic()
            self._enter(State.HEAD, _HEAD_SECONDS)
        parser = self._parser
        if self.state is State.HEAD:
            data = parser.feed_head(data)
            if not parser.head_complete:
                return
            self._ticket = self._server.open_ticket()
            parser.start_body(self._server.max_body_bytes, self)
            try:
                self._key_name = self._server.check_key(parser.head)
            except Problem as problem:
                self._skip_body(data)
                self._refuse_key(problem)
                return
        if data and not parser.complete:
            data = parser.feed_body(data)
        if parser.complete:
            self._hand_out(bytes(data))
        elif self.state is State.HEAD:
            self._wait_for_body(parser.head)

    def _wait_for_body(self, head: RequestHead) -> None:
        if not self._server.wants_body(head):
            self._hand_out(b"")
            return
        self._enter(State.BODY, self._first_byte_at + self._server.timeout_seconds - time.monotonic())
        if head.expects_continue:
            self._transport.write(_CONTINUE)

    def _skip_body(self, data: memoryview) -> None:
        """Skip a body that arrived together with its head, so that the connection can be kept."""
        assert self._parser is not None
        assert self._ticket is not None
        with suppress(Problem):  # an invalid body must not make a refusal quicker
            if data and not self._parser.complete:
                data = self._parser.feed_body(data)
            if self._parser.complete:
                self._ahead = bytes(data)  # also if there is no memory for it, or its request would be lost
                self._ticket.hold(len(data))

    def _refuse_key(self, problem: Problem) -> None:
        """Let the client wait for its refusal. Otherwise clients without a key could take a whole core."""
        assert self._parser is not None
        self._pause_reading()
        self._enter(State.WORKING, None)
        self._server.refuse_later(self, problem, self._parser.head, self._first_byte_at)

    def receive(self, count_bytes: int) -> None:
        """Reserve memory for bytes of the body (the budget of RequestParser). Raises Problem."""
        assert self._ticket is not None
        if self.state is State.BODY:  # bytes that arrived with the head are few
            self._server.make_room(self, count_bytes)
            self.arriving_bytes += count_bytes
        self._ticket.hold(count_bytes)

    def _hand_out(self, ahead: bytes) -> None:
        assert self._parser is not None
        assert self._ticket is not None
        parser, ticket = self._parser, self._ticket
        self._ahead = ahead  # also if there is no memory for it, or its request would be lost
        if ahead:
            ticket.hold(len(ahead))
        self._pause_reading()
        self._release()
        peer = self._transport.get_extra_info("peername")
        address = peer[0] if peer else ""
        request = Request(parser.head, parser.body, self._first_byte_at, address, ticket, self._key_name)
        self._enter(State.WORKING, None)
        self._server.answer(self, request)
        self._ticket = None  # the server closes it when the request thread has ended

    # Answering:

    def _refuse(self, problem: Problem) -> None:
        head = self._parser.head if self._parser is not None else RequestHead()
        keep = self.may_be_kept
        self._send(self._server.refuse(problem, head, self._first_byte_at, keep), keep)

    @property
    def may_be_kept(self) -> bool:
        """Whether the connection can carry another request after this one's response."""
        parser = self._parser
        return parser is not None and parser.complete and parser.head.keep_alive and not self._server.draining

    def _send(self, response: bytes, keep: bool) -> None:
        self._keep = keep
        self.drop_request()
        self._pause_reading()
        self._enter(State.ANSWERING, self._server.timeout_seconds)
        self._transport.write(response)
        if not self._writing_paused:
            self._sent()
            return
        self._ticket = self._server.open_ticket()
        try:
            self._ticket.hold(self._transport.get_write_buffer_size())
        except Problem:  # too many clients that do not read
            self.abort()

    def _sent(self) -> None:
        if not self._keep or self._client_is_done:
            self._linger()
            return
        self.drop_request()
        self._enter(State.IDLE, _IDLE_SECONDS)
        if self._ahead:
            # Not by calling it: hundreds of short requests may wait, and each would nest one level deeper.
            asyncio.get_running_loop().call_soon(self._read_ahead)
        else:
            self._resume_reading()

    def _read_ahead(self) -> None:
        """Read the bytes that arrived behind the last request."""
        if self.state is not State.IDLE:  # closed meanwhile
            return
        ahead, self._ahead = self._ahead, b""
        self._resume_reading()
        self._received(memoryview(ahead))

    def _linger(self) -> None:
        """Close the sending side, and give the client time to read the response and to close its side."""
        if self._client_is_done or self._transport.is_closing():
            self._close()
            self._transport.close()
            return
        self.drop_request()
        self._enter(State.LINGERING, _LINGER_SECONDS)
        self._ahead = b""
        try:
            self._transport.write_eof()
        except OSError:  # the client has reset the connection
            self.abort()
            return
        self._resume_reading()

    # Both:

    def _close(self) -> None:
        self.drop_request()
        self._enter(State.CLOSED, None)

    def _release(self) -> None:
        self._server.release(self.arriving_bytes)
        self.arriving_bytes = 0

    def _pause_reading(self) -> None:
        if self._transport.is_reading():
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if not self._transport.is_closing() and not self._transport.is_reading():
            self._transport.resume_reading()

    def _enter(self, state: State, seconds: float | None) -> None:
        before, self.state = self.state, state
        self.since = time.monotonic()
        self.state_ends_at = float("inf") if seconds is None else self.since + seconds
        self._server.changed(self, before)
