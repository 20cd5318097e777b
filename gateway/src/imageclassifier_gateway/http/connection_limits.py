"""All connections of the public port, with limits on their number and on how long each one waits.

A new client can always connect. At the limit, the gateway first closes a connection that waits for its
client: an unused one before all others, and the oldest one in each state. nginx does the same. While every
connection is in its grace period, the gateway closes the oldest one of all.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

from ..problems import Problem
from ..stats import Stats
from .connection import Connection, State

#: The order in which connections are closed at the limit. WORKING is not in it: the work of a request thread
#: would be lost.
_EVICTION_ORDER = (State.FRESH, State.LINGERING, State.IDLE, State.HEAD, State.ANSWERING, State.BODY)
#: A connection gets this long in a state before it may be evicted. An unused one gets no grace while unused
#: connections take more than _FRESH_SHARE of the limit.
_GRACE_SECONDS = 1.0
_FRESH_SHARE = 0.25


class Member(Protocol):
    """A connection in the registry."""

    state: State
    since: float
    state_ends_at: float

    def expire(self) -> None:
        """End the current state, which has lasted too long."""

    def abort(self) -> None:
        """Close the connection at once."""

    def close_if_unused(self) -> None:
        """Close the connection if it has no request in progress."""


class Connections:
    """The registry of connections. Used in the event loop only."""

    def __init__(self, limit: int, max_arriving_bytes: int, stats: Stats) -> None:
        self._limit = limit
        self._max_arriving_bytes = max_arriving_bytes
        self._arriving_bytes = 0
        self._none: asyncio.Event | None = None
        self._stats = stats
        #: The connections in each state, in the order in which they entered it.
        self._by_state: dict[State, dict[Member, None]] = {
            state: {} for state in State if state is not State.CLOSED
        }
        stats.connections.set_function(lambda: len(self))

    def __len__(self) -> int:
        return sum(len(each) for each in self._by_state.values())

    def add(self, connection: Member) -> None:
        """Record a new connection; close another one if there are too many."""
        if len(self) >= self._limit:
            self._evict()
        self._by_state[connection.state][connection] = None

    def change(self, connection: Member, before: State) -> None:
        """Record that a connection left the state `before`."""
        self._by_state[before].pop(connection, None)
        if connection.state is not State.CLOSED:
            self._by_state[connection.state][connection] = None

        if self._none is not None and not len(self):
            self._none.set()

    async def wait_for_none(self) -> None:
        """Wait until all connections are closed."""
        if len(self):
            self._none = asyncio.Event()
            await self._none.wait()

    def of(self, *states: State) -> list[Member]:
        """The connections in these states."""
        return [connection for state in states for connection in self._by_state[state]]

    def expire(self) -> None:
        """Expire each connection whose state has lasted too long. Called several times a second."""
        now = time.monotonic()
        for connection in self.of(*_EVICTION_ORDER):
            if connection.state_ends_at <= now:
                connection.expire()

    def make_room(self, upload: Connection, count_bytes: int) -> None:
        """Reserve memory for an upload; stop the oldest uploads if the memory for uploads is full.

        Raises Problem if this upload is the oldest one, or if the oldest one is in its grace period.
        """
        while self._arriving_bytes + count_bytes > self._max_arriving_bytes:
            victim = next(iter(self._by_state[State.BODY]), None)
            if (
                not isinstance(victim, Connection)
                or victim is upload
                or time.monotonic() - victim.since < _GRACE_SECONDS
            ):
                raise Problem("overloaded", "Too many large pictures are arriving already. Retry soon.")
            victim.stop_upload()  # it releases the bytes of the upload
        self._arriving_bytes += count_bytes

    def release(self, count_bytes: int) -> None:
        """Release memory that `make_room` reserved."""
        self._arriving_bytes -= count_bytes

    def _evict(self) -> None:
        victim = self._victim()
        if victim is not None:
            self._stats.evicted_connections.labels(victim.state.name.lower()).inc()
            victim.abort()

    def _victim(self) -> Member | None:
        fresh = self._by_state[State.FRESH]
        if len(fresh) > _FRESH_SHARE * self._limit:
            return next(iter(fresh))
        oldest = [next(iter(self._by_state[state]), None) for state in _EVICTION_ORDER]
        waiting = [each for each in oldest if each is not None]
        now = time.monotonic()
        settled = [each for each in waiting if now - each.since >= _GRACE_SECONDS]
        if settled:
            return settled[0]
        # Thousands of connections arrive within a second. A good client needs only milliseconds in each
        # state, so the oldest connection is the least likely one to be a good client's.
        return min(waiting, key=lambda each: each.since, default=None)
