"""A client that writes bytes as they are and costs little: http.client takes longer than the gateway does."""

from __future__ import annotations

import contextlib
import socket

from mutations import Request

_TIMEOUT_SECONDS = 60


class Wire:
    """One connection to this machine, kept while the server keeps it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def exchange(self, request: Request) -> tuple[int, bytes]:
        """The status and the body of the response; 0 and the reason where there is none."""
        try:
            if self._socket is None:
                self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=_TIMEOUT_SECONDS)
            # A server that refuses a request may stop reading it; its response is there all the same.
            with contextlib.suppress(ConnectionError):
                self._socket.sendall(request.data)
                if not request.is_whole:
                    self._socket.shutdown(socket.SHUT_WR)
            status, body, is_kept = self._read(self._socket, request.method)
        except OSError as error:
            status, body, is_kept = 0, repr(error).encode(), False
        if not (is_kept and request.is_whole):
            self.close()
        return status, body

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _read(self, connection: socket.socket, method: str) -> tuple[int, bytes, bool]:
        data = b""
        while True:
            while b"\r\n\r\n" not in data:
                data += self._more(connection)
            head, _, data = data.partition(b"\r\n\r\n")
            status = int(head.split(b" ", 2)[1])
            if status >= 200:
                break
        headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        length = 0 if method == "HEAD" else int(headers.get(b"content-length", b"0"))
        while len(data) < length:
            data += self._more(connection)
        return status, data, headers.get(b"connection") != b"close"

    def _more(self, connection: socket.socket) -> bytes:
        if not (chunk := connection.recv(65536)):
            raise ConnectionError("closed without a response")
        return chunk
