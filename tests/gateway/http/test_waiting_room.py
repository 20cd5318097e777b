"""A connection waits outside of asyncio until its first byte arrives."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest

from imageclassifier_gateway.http.connection import State
from imageclassifier_gateway.http.connection_limits import Connections
from imageclassifier_gateway.http.waiting_room import WaitingRoom
from imageclassifier_gateway.stats import Stats


@dataclass
class Room:
    """A waiting room on a free port, and what it has admitted."""

    room: WaitingRoom
    connections: Connections
    port: int
    admitted: list[socket.socket] = field(default_factory=list)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def waiting(self) -> int:
        return len(self.connections.of(State.FRESH))


@contextlib.asynccontextmanager
async def open_room(limit: int = 100) -> AsyncIterator[Room]:
    listener = socket.create_server(("127.0.0.1", 0))
    connections = Connections(limit, 0, Stats())
    opened = Room(
        WaitingRoom(listener, connections, lambda each: opened.admitted.append(each)),
        connections,
        listener.getsockname()[1],
    )
    opened.room.open()
    yield opened
    opened.room.close()
    for each in connections.of(State.FRESH):
        each.abort()
    for admitted in opened.admitted:
        admitted.close()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110  the kernel has no event for it
            await asyncio.sleep(0.01)


def test_a_silent_connection_waits_and_one_that_sends_is_admitted() -> None:
    async def scenario() -> None:
        async with open_room() as room:
            with room.connect() as silent, room.connect() as sending:
                await until(lambda: room.waiting() == 2)
                assert not room.admitted
                sending.sendall(b"x")
                await until(lambda: room.admitted)
                assert [each.getpeername() for each in room.admitted] == [sending.getsockname()]
                assert room.waiting() == 1
                silent.close()  # which the connection itself has to see
                await until(lambda: len(room.admitted) == 2)

    asyncio.run(scenario())


def test_the_oldest_silent_connections_are_closed_at_the_limit() -> None:
    async def scenario() -> None:
        async with open_room(limit=10) as room:
            opened = [room.connect() for _ in range(15)]
            await until(lambda: room.waiting() == 10)
            assert [each.recv(1) for each in opened[:5]] == [b""] * 5
            for each in opened[5:]:
                each.sendall(b"x")
            await until(lambda: len(room.admitted) == 10)
            for each in opened:
                each.close()

    asyncio.run(scenario())


def test_a_closed_room_accepts_nothing_and_still_admits() -> None:
    async def scenario() -> None:
        async with open_room() as room:
            with room.connect() as before:
                await until(lambda: room.waiting() == 1)
                room.room.close()
                with pytest.raises(ConnectionRefusedError):
                    room.connect()
                before.sendall(b"x")
                await until(lambda: len(room.admitted) == 1)

    asyncio.run(scenario())


def test_connections_are_accepted_again_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    accept, failures = socket.socket.accept, iter([OSError(errno.EMFILE, "Too many open files")])

    def fail_once(listener: socket.socket) -> tuple[socket.socket, object]:
        for failure in failures:
            raise failure
        return accept(listener)

    async def scenario() -> None:
        async with open_room() as room:
            monkeypatch.setattr(socket.socket, "accept", fail_once)
            with room.connect():
                await until(lambda: room.waiting() == 1)

    asyncio.run(scenario())
