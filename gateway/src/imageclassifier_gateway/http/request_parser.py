"""Parses HTTP/1.1 requests from bytes as they arrive, within limits. No I/O.

llhttp, the parser of Node.js, decides what is valid; httptools binds it to Python. It refuses requests that
could be smuggled past a proxy: with both Transfer-Encoding and Content-Length, with repeated lengths, with
folded headers or with bare line feeds.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Protocol

import httptools

from ..problems import Problem

#: Limits on the request target, on one header, on the number of headers and on the whole head. The values are
#: those of gunicorn, Apache and nginx.
_MAX_TARGET_BYTES = 8190
_MAX_HEADER_BYTES = 8190
_MAX_HEADERS = 100
MAX_HEAD_BYTES = 32 * 1024

_NOT_HTTP = "This is not a valid HTTP/1.1 request. Use an HTTP client to send it."
_NO_LENGTH = (
    "The body must have a Content-Length, or be sent with 'Transfer-Encoding: chunked' and nothing else."
)


class Budget(Protocol):
    """Limits the memory for bodies."""

    def receive(self, count_bytes: int) -> None:
        """Reserve memory for `count_bytes` more. Raises Problem if there is none."""


@dataclass
class RequestHead:
    """The request line and the headers of one request."""

    method: str = ""
    target: bytes = b""
    version: str = "1.1"
    #: Names in lower case, in the order of the request.
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    keep_alive: bool = False
    content_length: int = 0
    chunked: bool = False

    @property
    def has_body(self) -> bool:
        """Whether the head announces a body."""
        return self.chunked or self.content_length > 0

    def values(self, name: bytes) -> list[bytes]:
        """All values of a header."""
        return [value for each, value in self.headers if each == name]

    def value(self, name: bytes) -> str:
        """The header's value; empty when the header is missing."""
        values = self.values(name)
        return values[0].decode("latin-1") if values else ""

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits for `100 Continue`."""
        return self.version == "1.1" and self.value(b"expect").lower() == "100-continue"


class RequestParser:
    """Parses one request. Feed it until `complete`; the feed methods return bytes beyond the request."""

    def __init__(self) -> None:
        self.head = RequestHead()
        self.head_complete = False
        self.complete = False
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)
        self._head_bytes = 0
        self._tail = b""
        self._body = io.BytesIO()
        self._received = 0
        self._budget: Budget | None = None
        self._max_body_bytes = 0

    @property
    def body(self) -> bytes:
        """The part of the body that has arrived, without a copy."""
        return self._body.getvalue()

    @property
    def missing_bytes(self) -> int | None:
        """The bytes of the body that have not arrived; None if the body is chunked."""
        return None if self.head.chunked else self.head.content_length - self._received

    def feed_head(self, data: memoryview) -> memoryview:
        """Parse the bytes of the head, and return the bytes after it. Raises Problem.

        llhttp cannot stop at the end of the head, so it gets pieces that end where the head may end.
        """
        while data and not self.head_complete:
            end = _end_of_head(self._tail, data)
            piece, data = data[:end], data[end:]
            self._tail = (self._tail + bytes(piece[-3:]))[-3:]
            self._head_bytes += len(piece)
            self._parse(piece)
            if self._head_bytes > MAX_HEAD_BYTES:
                raise _too_large(in_target=False)
        return data

    def start_body(self, max_bytes: int, budget: Budget) -> None:
        """Prepare for `feed_body`. Raises Problem if Content-Length is above `max_bytes`."""
        self._max_body_bytes, self._budget = max_bytes, budget
        if self.head.content_length > max_bytes:
            raise Problem(
                "too-large",
                f"The body has {self.head.content_length:,} bytes; at most {max_bytes:,} are accepted.",
            )
        if not self.head.has_body:
            self.complete = True

    def feed_body(self, data: memoryview) -> memoryview:
        """Parse the bytes of the body, and return the bytes after it. Raises Problem."""
        if self.head.chunked:
            self._parse(data)
            return data[:0]
        taken = data[: self.head.content_length - self._received]
        self.on_body(taken)
        self.complete = self._received == self.head.content_length
        return data[len(taken) :]

    def close(self) -> None:
        """Free the memory at once. Otherwise the reference cycle with the parser delays it."""
        self._parser = None
        self._body = io.BytesIO()

    def _parse(self, data: memoryview) -> None:
        assert self._parser is not None
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # The gateway ignores offers to upgrade. A client that offers HTTP/2 (Java's does) gets HTTP/1.1.
            if self.head.method == "CONNECT":
                raise Problem("bad-request", _NOT_HTTP) from None
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            raise cause if isinstance(cause, Problem) else error from None
        except httptools.HttpParserError:
            raise Problem("bad-request", _NOT_HTTP) from None

    # What httptools calls:

    def on_message_begin(self) -> None:
        """Close the connection after this request if another one is pipelined behind its chunked body."""
        if self.complete:
            self.head.keep_alive = False

    def on_url(self, target: bytes) -> None:
        """Collect the request target."""
        if self.complete:
            return
        self.head.target += target
        if len(self.head.target) > _MAX_TARGET_BYTES:
            raise _too_large(in_target=True)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect one header."""
        if self.complete:
            return
        self._head_bytes += len(name) + len(value) if self.head_complete else 0  # trailers
        if len(name) + len(value) > _MAX_HEADER_BYTES or len(self.head.headers) >= _MAX_HEADERS:
            raise _too_large(in_target=False)
        if self._head_bytes > MAX_HEAD_BYTES:
            raise _too_large(in_target=False)
        if not self.head_complete:  # trailers of a chunked body are ignored
            self.head.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Check the head."""
        if self.complete:
            return
        assert self._parser is not None
        head = self.head
        head.method = self._parser.get_method().decode("ascii")
        head.version = self._parser.get_http_version()
        head.keep_alive = self._parser.should_keep_alive()
        if head.version not in ("1.0", "1.1"):
            raise Problem("bad-request", _NOT_HTTP)
        if len(head.values(b"host")) != 1 and (head.version == "1.1" or head.values(b"host")):
            raise Problem("bad-request", "An HTTP/1.1 request must have exactly one Host header.")
        encodings = head.values(b"transfer-encoding")
        if encodings and (head.version == "1.0" or [each.lower() for each in encodings] != [b"chunked"]):
            raise Problem("bad-request", _NO_LENGTH)
        head.chunked = bool(encodings)
        head.content_length = int(head.value(b"content-length") or 0)
        self.head_complete = True

    def on_body(self, data: bytes | memoryview) -> None:
        """Collect a piece of the body."""
        if self.complete:
            return
        assert self._budget is not None
        if self._received + len(data) > self._max_body_bytes:
            raise Problem(
                "too-large", f"The body has more than {self._max_body_bytes:,} bytes, which is the limit."
            )
        self._budget.receive(len(data))
        self._received += len(data)
        self._body.write(data)

    def on_message_complete(self) -> None:
        """Record the end of a chunked body."""
        if self.head.chunked:
            self.complete = True


def _end_of_head(before: bytes, data: memoryview) -> int:
    """The offset in `data` after the first empty line; the length of `data` if there is none."""
    found = (before + bytes(data)).find(b"\r\n\r\n")
    return len(data) if found < 0 else found + 4 - len(before)


def _too_large(*, in_target: bool) -> Problem:
    if in_target:
        return Problem(
            "url-too-long", "The path and query of the request are too long. Send long values in the body."
        )
    return Problem(
        "headers-too-large",
        "The request has too many headers, or they are too long. Send fewer cookies and headers.",
    )
