"""Accepts connections, and keeps each one outside of asyncio until its first byte arrives.

asyncio takes many times as long to open a connection as the kernel. With it, a client that opened thousands
of silent connections filled the kernel's queue, and each other client whose first packet found it full waited
for a second. A connection in the waiting room costs a file descriptor, 1 KB, and almost no time.
"""

from __future__ import annotations

import asyncio
import logging
import selectors
import socket
import time
from collections.abc import Callable

from .connection import FRESH_SECONDS, State
from .connection_limits import Connections

#: Connections that are accepted before the event loop does other work.
_ACCEPTS = 32
#: How long no connection is accepted after an error, usually too many open files (asyncio's value).
_PAUSE_SECONDS = 1.0


class Waiting:
    """A connection that has not sent a byte."""

    __slots__ = ("_leave", "since", "socket", "state", "state_ends_at")

    def __init__(self, accepted: socket.socket, leave: Callable[[Waiting], None]) -> None:
        """`leave` removes it from the waiting room."""
        self.socket = accepted
        self.state = State.FRESH
        self.since = time.monotonic()
        self.state_ends_at = self.since + FRESH_SECONDS
        self._leave = leave

    def abort(self) -> None:
        """Close the connection."""
        self._leave(self)
        self.socket.close()

    def expire(self) -> None:
        """Close the connection, because it has sent nothing in time."""
        self.abort()

    def close_if_unused(self) -> None:
        """Close the connection: it has no request in progress."""
        self.abort()


class WaitingRoom:
    """Accepts the connections of a listening socket. Used in the event loop only."""

    def __init__(
        self, listener: socket.socket, connections: Connections, admit: Callable[[socket.socket], None]
    ) -> None:
        """`admit` gets each connection whose first byte has arrived, or whose client has closed it."""
        self._listener = listener
        self._connections = connections
        self._admit = admit
        self._silent = selectors.DefaultSelector()
        self._loop: asyncio.AbstractEventLoop
        self._is_open = False

    def open(self) -> None:
        """Start to accept connections."""
        self._loop = asyncio.get_running_loop()
        self._listener.setblocking(False)
        self._is_open = True
        self._loop.add_reader(self._listener, self._accept)
        self._loop.add_reader(self._silent, self.admit_all)

    def close(self) -> None:
        """Stop to accept connections. Those in the waiting room stay."""
        if self._is_open:
            self._is_open = False
            self._loop.remove_reader(self._listener)
            self._listener.close()

    def admit_all(self) -> None:
        """Admit each connection that has sent something."""
        for key, _ in self._silent.select(0):
            waiting: Waiting = key.data
            if waiting.state is State.FRESH:  # else one that was admitted before has evicted it
                self._leave(waiting)
                self._admit(waiting.socket)

    def _accept(self) -> None:
        for _ in range(_ACCEPTS):
            try:
                accepted, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:
                logging.getLogger(__name__).exception(
                    "The gateway cannot accept connections. It retries in %g s.", _PAUSE_SECONDS
                )
                self._loop.remove_reader(self._listener)
                self._loop.call_later(_PAUSE_SECONDS, self._go_on)
                return
            accepted.setblocking(False)
            waiting = Waiting(accepted, self._leave)
            self._silent.register(accepted, selectors.EVENT_READ, waiting)
            self._connections.add(waiting)

    def _go_on(self) -> None:
        if self._is_open:
            self._loop.add_reader(self._listener, self._accept)

    def _leave(self, waiting: Waiting) -> None:
        self._silent.unregister(waiting.socket)
        waiting.state = State.CLOSED
        self._connections.change(waiting, State.FRESH)
