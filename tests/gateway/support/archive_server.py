"""An HTTPS server with a private CA, for the download of models: ranges, broken downloads and redirects."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

from private_authority import PrivateAuthority

Answer = tuple[int, dict[str, str], bytes]


@dataclass
class ArchiveServer:
    """What the server answers, and what it was asked."""

    url: str
    ca_file: Path
    #: Path -> content.
    files: dict[str, bytes] = field(default_factory=dict)
    #: Path -> responses that come before the content, one for each request.
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    #: After how many bytes the connection breaks, for each of the next responses.
    breaks: list[int] = field(default_factory=list)
    supports_ranges: bool = True
    requests: list[dict[str, str]] = field(default_factory=list)

    def respond(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        path = unquote(handler.path.partition("?")[0])
        self.requests.append({"path": handler.path, **{k.lower(): v for k, v in handler.headers.items()}})
        if self.answers.get(path):
            status, headers, body = self.answers[path].pop(0)
            _send(handler, status, {**headers, "Content-Length": str(len(body))}, body)
            return
        if path not in self.files:
            body = b"<Error><Code>NoSuchKey</Code><Message>The key does not exist.</Message></Error>"
            _send(handler, 404, {"Content-Length": str(len(body))}, body)
            return
        content, start, status = self.files[path], 0, 200
        headers = {"Content-Length": str(len(content))}
        if self.supports_ranges and (wanted := handler.headers.get("Range")):
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                _send(handler, 416, {"Content-Range": f"bytes */{len(content)}", "Content-Length": "0"}, b"")
                return
            status, headers = 206, {"Content-Length": str(len(content) - start)}
        most = self.breaks.pop(0) if self.breaks else len(content)
        _send(handler, status, headers, content[start:][:most])
        if most < len(content) - start:
            handler.close_connection = True


def _send(handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: bytes) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


@contextmanager
def archive_server(folder: Path) -> Iterator[ArchiveServer]:
    """Run the server, with a certificate for localhost that only its own CA file vouches for."""
    authority = PrivateAuthority(folder)
    certificate, key = authority.certificate_for("localhost")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.respond(self)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    http.socket = context.wrap_socket(http.socket, server_side=True)
    server = ArchiveServer(f"https://localhost:{http.server_port}", authority.ca_file)
    threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
