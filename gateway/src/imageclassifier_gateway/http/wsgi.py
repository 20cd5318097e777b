"""Calls the WSGI application (PEP 3333) for a parsed request, and converts its response to bytes."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_to_bytes

from ..problems import Problem
from .request_parser import RequestHead

Environ = dict[str, Any]
Headers = list[tuple[str, str]]
WsgiApp = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

#: WSGI names these two headers without the prefix HTTP_.
_BARE = {b"content-type": "CONTENT_TYPE", b"content-length": "CONTENT_LENGTH"}


@dataclass(frozen=True)
class Response:
    """A complete response of the application."""

    status: str
    headers: Headers
    body: bytes

    def serialise(self, head: RequestHead, keep: bool) -> bytes:
        """The bytes to send; `keep` tells the client whether the connection stays open."""
        version = head.version if head.version == "1.0" else "1.1"
        lines = [f"HTTP/{version} {self.status}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        has_length = any(name.lower() == "content-length" for name, _ in self.headers)
        if not has_length and self.status[:3] not in ("204", "304"):
            lines.append(f"Content-Length: {len(self.body)}")
        lines.append(f"Date: {_date(int(time.time()))}")
        lines.append(f"Connection: {'keep-alive' if keep else 'close'}")
        text = "\r\n".join(lines) + "\r\n\r\n"
        return text.encode("latin-1") + (b"" if head.method == "HEAD" else self.body)


def split_target(target: bytes) -> tuple[str, str]:
    """The path (still quoted) and the query of a request target. Raises Problem."""
    text = target.decode("latin-1").partition("#")[0]
    if not text.startswith("/"):
        scheme, _, rest = text.partition("://")
        if scheme.lower() not in ("http", "https") or not rest:
            raise Problem("bad-request", "The request's target must be a path, or an http URL.")
        _, slash, path = rest.partition("/")
        text = slash + path or "/"
    path, _, query = text.partition("?")
    return path, query


def make_environ(head: RequestHead, body: bytes, peer: str, port: int, more: Environ) -> Environ:
    """The WSGI environment of a request. Raises Problem. Proxy headers are not trusted."""
    path, query = split_target(head.target)
    environ: Environ = {
        "REQUEST_METHOD": head.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "SERVER_NAME": "gateway",
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": f"HTTP/{head.version}",
        "REMOTE_ADDR": peer,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),  # shares the bytes
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        **more,
    }
    for name, value in head.headers:
        if b"_" in name:  # WSGI cannot tell it from the header with hyphens
            continue
        key = _BARE.get(name) or "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
        text = value.decode("latin-1")
        environ[key] = f"{environ[key]},{text}" if key in environ and key not in _BARE.values() else text
    return environ


def call(app: WsgiApp, environ: Environ) -> Response:
    """Call the application, and return its response."""
    started: list[Any] = []

    def start_response(status: str, headers: Headers, exc_info: object = None) -> Callable[[bytes], None]:
        started[:] = [status, headers]
        return written.append

    written: list[bytes] = []
    parts = app(environ, start_response)
    try:
        written.extend(parts)
    finally:
        if close := getattr(parts, "close", None):
            close()
    return Response(started[0], started[1], b"".join(written))


@lru_cache(maxsize=2)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)
