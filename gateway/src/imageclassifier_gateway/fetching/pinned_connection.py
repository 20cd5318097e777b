"""An HTTP connection to an address that was checked, all of whose reads share one deadline."""

from __future__ import annotations

import http.client
import io
import socket
import time

from ..limits.deadline import Deadline
from .turn import Turn
from .urls import Target

#: Status lines and headers, 1xx responses included. A hundred headers are usual at most.
_HEAD_BYTES = 64 * 1024
#: What a line costs at least, so that there cannot be many of empty ones. A body in chunks of a byte is
#: refused after about 250 chunks, which take 0.6 ms of CPU time.
_LINE_BYTES = 256
#: So small may the chunks of a body be on average.
_CHUNK_BYTES = 512
#: A read of fewer bytes is small: it costs more in switches between threads than in bytes.
_SMALL_READ_BYTES = 4096
#: The number of small reads of a connection without a pause. A pause before each further one lets bytes
#: gather, so that a server that sends single bytes wakes this process at most 100 times a second.
_FREE_SMALL_READS = 32
_PAUSE_SECONDS = 0.01


class PinnedConnection(http.client.HTTPConnection):
    """An HTTP connection over a socket that is already connected, all of whose reads share one deadline.

    http.client does not limit the number of 100 responses, chunks and trailers, nor the extensions of chunks.
    This connection limits all lines of a response together. The limit grows with the body that has arrived:
    a body in chunks of 512 bytes is read, and one in chunks of a byte is soon refused, since each chunk costs
    as much CPU time (2.4 us) as ten kilobytes.
    """

    def __init__(self, target: Target, connected: socket.socket, deadline: Deadline, turn: Turn) -> None:
        """`turn` is held by the thread that uses this connection; it is released while the thread waits."""
        super().__init__(target.host, target.port)
        self._connected = connected
        self.sock = _DeadlineSocket(connected, deadline, turn)
        self.auto_open = 0

    def __enter__(self) -> PinnedConnection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._connected.close()


class _DeadlineSocket:
    """What http.client needs of a socket; each operation may take what is left of the deadline."""

    def __init__(self, connected: socket.socket, deadline: Deadline, turn: Turn) -> None:
        self._connected = connected
        self._deadline = deadline
        self._turn = turn
        self._small_reads = 0

    def sendall(self, data: bytes) -> None:
        self._connected.settimeout(self._left())
        self._connected.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        assert mode == "rb"
        return _LimitedLines(_DeadlineReader(self))

    def recv_into(self, buffer: memoryview) -> int:
        with self._turn.released():
            if self._small_reads > _FREE_SMALL_READS:
                time.sleep(min(_PAUSE_SECONDS, self._left()))
            self._connected.settimeout(self._left())
            received = self._connected.recv_into(buffer)
        if received < min(_SMALL_READ_BYTES, len(buffer)):
            self._small_reads += 1
        return received

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


class _LimitedLines(io.BufferedReader):
    """Refuses to read many lines between few bytes that are none."""

    def __init__(self, source: _DeadlineReader) -> None:
        super().__init__(source)
        self._left_bytes = float(_HEAD_BYTES)

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        self._left_bytes -= max(len(line), _LINE_BYTES)
        if self._left_bytes < 0:
            raise http.client.HTTPException("too many lines around the body")
        return line

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self._left_bytes += len(data) * _LINE_BYTES / _CHUNK_BYTES
        return data
