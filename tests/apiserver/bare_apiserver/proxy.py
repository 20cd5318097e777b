"""A TCP proxy that can fail like a network: tests put it between a client and the API server.

TLS passes through untouched: the server's certificate is for 127.0.0.1, whatever the port.
"""

import contextlib
import socket
import struct
import threading
from types import TracebackType

_CHUNK_BYTES = 64 * 1024
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER with no time: close() sends RST


class SeverableProxy:
    """Forwards connections on `port` to `target` until told otherwise.

    `sever` resets every connection and each new one, as when the server's host is gone; `stall` keeps
    connections open but passes nothing, as when packets are dropped on the way; `restore` ends both. What a
    stalled connection held back is then delivered; severed connections stay closed.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._lock = threading.Lock()
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._severed = False
        self._flowing = threading.Event()
        self._flowing.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, name=f"proxy-{self.port}", daemon=True).start()

    @property
    def connections(self) -> int:
        """How many connections are open now."""
        with self._lock:
            return len(self._pairs)

    def sever(self) -> None:
        """Reset all connections, and every new one until `restore`."""
        with self._lock:
            self._severed = True
            pairs = list(self._pairs)
        for pair in pairs:
            self._reset(pair)

    def stall(self) -> None:
        """Forward no bytes, on old and new connections, until `restore`, without closing any connection."""
        self._flowing.clear()

    def restore(self) -> None:
        """Forward again."""
        with self._lock:
            self._severed = False
        self._flowing.set()

    def close(self) -> None:
        """Stop listening and reset what is open."""
        # shutdown wakes the accepting thread, which close alone does not.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.sever()
        self._flowing.set()

    def __enter__(self) -> "SeverableProxy":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            try:
                server = socket.create_connection(self._target)
            except OSError:
                client.close()
                continue
            pair = (client, server)
            with self._lock:
                self._pairs.add(pair)
                severed = self._severed
            if severed:
                self._reset(pair)
                continue
            for source, sink in (pair, (server, client)):
                threading.Thread(target=self._pump, args=(source, sink, pair), daemon=True).start()

    def _pump(
        self, source: socket.socket, sink: socket.socket, pair: tuple[socket.socket, socket.socket]
    ) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK_BYTES):
                self._flowing.wait()
                sink.sendall(data)
        self._reset(pair)

    def _reset(self, pair: tuple[socket.socket, socket.socket]) -> None:
        with self._lock:
            self._pairs.discard(pair)
        for end in pair:
            # A thread that waits in recv holds the descriptor open past close; shutdown wakes it.
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RD)
            end.close()
