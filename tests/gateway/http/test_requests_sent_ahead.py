"""A request that a client has sent ahead is answered, also if there was no memory for it at first."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import CollectorRegistry, Gauge

from imageclassifier_gateway.http.connection import Connection, Request, State
from imageclassifier_gateway.http.request_parser import RequestHead
from imageclassifier_gateway.limits.admission import Admission, Ticket
from imageclassifier_gateway.problems import Problem

FIRST = b"POST /first HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n0123456789"
AHEAD = b"GET /second HTTP/1.1\r\nHost: x\r\n\r\n"


class Open(asyncio.Transport):
    """A transport whose client reads at once."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing: there is no buffer."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Nothing: the client has it."""

    def is_closing(self) -> bool:
        return False

    def is_reading(self) -> bool:
        return self.reads

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True


class SmallServer:
    """A server with memory for the body of the first request, but not for the request behind it."""

    timeout_seconds, max_body_bytes, draining = 10.0, 1000, False

    def __init__(self, *, needs_key: bool) -> None:
        self.buffer = bytearray(65536)
        gauges = (Gauge(name, name, registry=CollectorRegistry()) for name in ("requests", "bytes"))
        self.admission = Admission(4, 20, *gauges)
        self.needs_key = needs_key
        self.refused: list[str] = []
        self.answered: list[bytes] = []

    def open_ticket(self) -> Ticket:
        return self.admission.open()

    def check_key(self, head: RequestHead) -> str:
        if self.needs_key and head.target == b"/first":
            raise Problem("key-missing", "The request has no key.")
        return ""

    def wants_body(self, head: RequestHead) -> bool:
        return True

    def answer(self, connection: Connection, request: Request) -> None:
        self.answered.append(request.head.target)

    def refuse(self, problem: Problem, head: RequestHead, first_byte_at: float, keep: bool) -> bytes:
        self.refused.append(problem.cause)
        return b"refused"

    def refuse_later(
        self, connection: Connection, problem: Problem, head: RequestHead, first_byte_at: float
    ) -> None:
        keep = connection.may_be_kept
        connection.send(self.refuse(problem, head, first_byte_at, keep), keep)

    def make_room(self, upload: Connection, count_bytes: int) -> None:
        """Nothing: no other upload holds memory."""

    def release(self, count_bytes: int) -> None:
        """Nothing."""

    def added(self, connection: Connection) -> None:
        """Nothing."""

    def changed(self, connection: Connection, before: State) -> None:
        """Nothing."""


@pytest.mark.parametrize(("needs_key", "cause"), [(False, "too-large"), (True, "key-missing")])
def test_a_request_behind_one_that_was_refused_is_answered(needs_key: bool, cause: str) -> None:
    server = SmallServer(needs_key=needs_key)

    async def serve() -> None:
        connection = Connection(server)
        connection.connection_made(Open())
        data = FIRST + AHEAD
        connection.get_buffer(-1)[: len(data)] = data
        connection.buffer_updated(len(data))
        await asyncio.sleep(0)

    asyncio.run(serve())
    assert server.refused == [cause]
    assert server.answered == [b"/second"]
