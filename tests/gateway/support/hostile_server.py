"""A hostile web server: each path attacks its client in one way."""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
import time
import zlib
from collections.abc import Callable

JPEG_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n"


class HostileServer:
    """Listens on a free port, of the loopback interface by default. `requests` keeps the head of each request
    it got."""

    def __init__(self, picture: bytes, address: str = "127.0.0.1") -> None:
        self.picture = picture
        self.requests: list[bytes] = []
        self.redirect_to = ""
        self.declared = b"200 OK"
        self.declared_body = picture
        self._listener = socket.create_server((address, 0))
        self.port = int(self._listener.getsockname()[1])
        self._stopped = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head and (chunk := connection.recv(65536)):
                head += chunk
                if head.startswith(b"\x16\x03"):  # a TLS greeting
                    self.do_not_http(connection)
                    return
            self.requests.append(head)
            path = head.split(b" ")[1].decode().partition("?")[0].strip("/").replace("-", "_")
            attack: Callable[[socket.socket], None] = getattr(
                self, f"do_{path or 'picture'}", self.do_picture
            )
            attack(connection)

    def _drip(self, connection: socket.socket, piece: bytes, seconds: float = 0.02) -> None:
        while not self._stopped.is_set():
            connection.sendall(piece)
            time.sleep(seconds)

    def do_picture(self, connection: socket.socket) -> None:
        connection.sendall(JPEG_HEAD + f"Content-Length: {len(self.picture)}\r\n\r\n".encode() + self.picture)

    def do_chunked(self, connection: socket.socket) -> None:
        size = f"{len(self.picture):x}".encode()
        body = size + b"\r\n" + self.picture + b"\r\n0\r\n\r\n"
        connection.sendall(JPEG_HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + body)

    def do_declared(self, connection: socket.socket) -> None:
        """The body with the status and headers that a test wants."""
        connection.sendall(b"HTTP/1.1 " + self.declared + b"\r\n\r\n" + self.declared_body)

    def do_until_close(self, connection: socket.socket) -> None:
        connection.sendall(JPEG_HEAD + b"\r\n" + self.picture)

    def do_octets(self, connection: socket.socket) -> None:
        connection.sendall(
            b"HTTP/1.0 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n" + self.picture
        )

    def do_silence(self, connection: socket.socket) -> None:
        self._stopped.wait()

    def do_drip_status(self, connection: socket.socket) -> None:
        self._drip(connection, b"H")

    def do_drip_headers(self, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        self._drip(connection, b"a")

    def do_drip_body(self, connection: socket.socket) -> None:
        connection.sendall(JPEG_HEAD + b"Content-Length: 10000000\r\n\r\n")
        self._drip(connection, b"x")

    def do_drip_chunks(self, connection: socket.socket) -> None:
        connection.sendall(JPEG_HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        self._drip(connection, b"1\r\nx\r\n")

    def do_drip_chunk_size(self, connection: socket.socket) -> None:
        connection.sendall(JPEG_HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        self._drip(connection, b"0")

    def do_drip_trailers(self, connection: socket.socket) -> None:
        connection.sendall(JPEG_HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n")
        self._drip(connection, b"X: y\r\n")

    def do_drip_chunk_extension(self, connection: socket.socket) -> None:
        connection.sendall(JPEG_HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;")
        self._drip(connection, b"x")

    def do_drip_redirect(self, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: /drip-redirect")
        self._drip(connection, b"x")

    def do_chunk_extensions(self, connection: socket.socket) -> None:
        connection.sendall(JPEG_HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        self._drip(connection, b"1;" + b"x" * 60_000 + b"\r\nx\r\n", 0)

    def do_one_byte_chunks(self, connection: socket.socket) -> None:
        connection.sendall(JPEG_HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        self._drip(connection, b"1\r\nx\r\n" * 10_000, 0)

    def do_endless_trailers(self, connection: socket.socket) -> None:
        connection.sendall(JPEG_HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n")
        self._drip(connection, b"X: y\r\n" * 1_000, 0)

    def do_early_hints(self, connection: socket.socket) -> None:
        self._drip(connection, b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 100, 0)

    def do_small_chunks(self, connection: socket.socket) -> None:
        """As a proxy may cut a body: legal, and read."""
        pieces = [self.picture[at : at + 512] for at in range(0, len(self.picture), 512)]
        body = b"".join(b"%x;a=b\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
        connection.sendall(JPEG_HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + body + b"0\r\nETag: x\r\n\r\n")

    def do_endless_continue(self, connection: socket.socket) -> None:
        self._drip(connection, b"HTTP/1.1 100 Continue\r\n\r\n", 0)

    def do_endless_headers(self, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        self._drip(connection, b"X-More: " + b"a" * 1000 + b"\r\n", 0)

    def do_endless_header_line(self, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        self._drip(connection, b"a" * 65536, 0)

    def do_endless_body(self, connection: socket.socket) -> None:
        connection.sendall(JPEG_HEAD + b"\r\n")
        self._drip(connection, b"x" * 65536, 0)

    def do_endless_chunks(self, connection: socket.socket) -> None:
        connection.sendall(JPEG_HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        self._drip(connection, b"10000\r\n" + b"x" * 65536 + b"\r\n", 0)

    def do_huge_length(self, connection: socket.socket) -> None:
        connection.sendall(JPEG_HEAD + b"Content-Length: 99999999999999999999\r\n\r\n")
        self._stopped.wait()

    def do_negative_length(self, connection: socket.socket) -> None:
        connection.sendall(JPEG_HEAD + b"Content-Length: -5\r\n\r\n")
        self._drip(connection, b"x" * 65536, 0)

    def do_short_body(self, connection: socket.socket) -> None:
        connection.sendall(JPEG_HEAD + b"Content-Length: 1000\r\n\r\nshort")

    def do_broken_chunks(self, connection: socket.socket) -> None:
        connection.sendall(JPEG_HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n")

    def do_gzip_without_content(self, connection: socket.socket) -> None:
        """Empty blocks without end, and nothing that they decompress to."""
        stream = zlib.compressobj(wbits=31)
        connection.sendall(JPEG_HEAD + b"Content-Encoding: gzip\r\n\r\n")
        connection.sendall(stream.compress(b"") + stream.flush(zlib.Z_FULL_FLUSH))
        empty = b"\0\0\0\xff\xff" * 20_000
        for _ in range(10_000):
            connection.sendall(empty)

    def do_gzip_bomb(self, connection: socket.socket) -> None:
        bomb = gzip.compress(b"\0" * 200_000_000, 1)
        connection.sendall(JPEG_HEAD + b"Content-Encoding: gzip\r\n\r\n" + bomb)

    def do_html(self, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>secret</html>")

    def do_json(self, connection: socket.socket) -> None:
        connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"token": "secret"}')

    def do_not_found(self, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

    def do_unauthorized(self, connection: socket.socket) -> None:
        connection.sendall(
            b'HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm="x"\r\nContent-Length: 0\r\n\r\n'
        )

    def do_empty(self, connection: socket.socket) -> None:
        """Closes the connection without a response."""

    def do_not_http(self, connection: socket.socket) -> None:
        connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")

    def do_redis(self, connection: socket.socket) -> None:
        connection.sendall(b"-ERR unknown command 'GET'\r\n")

    def do_redirect(self, connection: socket.socket) -> None:
        connection.sendall(f"HTTP/1.1 302 Found\r\nLocation: {self.redirect_to}\r\n\r\n".encode())

    def do_redirect_to_nowhere(self, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 302 Found\r\n\r\n")

    def do_redirect_loop(self, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 301 Moved\r\nLocation: /redirect-loop\r\n\r\n")

    def do_redirect_with_endless_body(self, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: /picture\r\n\r\n")
        self._drip(connection, b"x" * 65536, 0)
