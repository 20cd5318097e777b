"""An HTTP connection to an address that was checked, all of whose reads share one deadline."""

from __future__ import annotations

import http.client
import io
import socket

from .deadline import Deadline
from .urls import Target


class PinnedConnection(http.client.HTTPConnection):
    """An HTTP connection over a socket that is already connected, all of whose reads share one deadline."""

    def __init__(self, target: Target, connected: socket.socket, deadline: Deadline) -> None:
        super().__init__(target.host, target.port)
        self._connected = connected
        self.sock = _DeadlineSocket(connected, deadline)
        self.auto_open = 0

    def __enter__(self) -> PinnedConnection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._connected.close()


class _DeadlineSocket:
    """What http.client needs of a socket; each operation may take what is left of the deadline."""

    def __init__(self, connected: socket.socket, deadline: Deadline) -> None:
        self._connected = connected
        self._deadline = deadline

    def sendall(self, data: bytes) -> None:
        self._connected.settimeout(self._left())
        self._connected.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        assert mode == "rb"
        return io.BufferedReader(_DeadlineReader(self))

    def recv_into(self, buffer: memoryview) -> int:
        self._connected.settimeout(self._left())
        return self._connected.recv_into(buffer)

    def close(self) -> None:
        """Nothing: the response may still be read; `PinnedConnection` closes the socket at its end."""

    def _left(self) -> float:
        left = self._deadline.remaining_seconds()
        if left <= 0:
            raise TimeoutError
        return left


class _DeadlineReader(io.RawIOBase):
    def __init__(self, source: _DeadlineSocket) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        return self._source.recv_into(buffer)
