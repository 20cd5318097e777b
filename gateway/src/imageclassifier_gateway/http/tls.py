"""TLS between the socket and a connection.

asyncio's own TLS would register a connection only after its handshake, so handshakes would have no limit. It
also cannot close only the sending side, which lets a client read a response that refuses its upload.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import Any

from .connection import Connection

#: The largest record of TLS, 16 KB, with its header and its authentication.
_RECORD_BYTES = 16 * 1024 + 512
#: The first byte of a TLS handshake.
_HANDSHAKE = 22
_NOT_TLS = b"This port needs HTTPS. Write https:// in the URL.\n"
_NOT_TLS_RESPONSE = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_NOT_TLS), _NOT_TLS)
)


class TlsTransport(asyncio.Transport):
    """What a connection writes to. It encrypts, and leaves everything else to the socket's transport."""

    def __init__(self, protocol: TlsProtocol, raw: asyncio.Transport) -> None:
        super().__init__()
        self._protocol, self._raw = protocol, raw

    def write(self, data: Any) -> None:
        """Encrypt and send."""
        self._protocol.write(memoryview(data))

    def can_write_eof(self) -> bool:
        """True: the sending side can be closed alone."""
        return True

    def write_eof(self) -> None:
        """Close the sending side. What the client still sends is counted, and not decrypted."""
        self._protocol.notify_close()
        self._raw.write_eof()

    def close(self) -> None:
        """Close the connection after everything is sent."""
        self._protocol.notify_close()
        self._raw.close()

    def abort(self) -> None:
        """Close the connection at once."""
        self._raw.abort()

    def is_closing(self) -> bool:
        """Whether the connection closes."""
        return self._raw.is_closing()

    def is_reading(self) -> bool:
        """Whether the connection gets what the client sends."""
        return self._raw.is_reading()

    def pause_reading(self) -> None:
        """Stop to read."""
        self._raw.pause_reading()

    def resume_reading(self) -> None:
        """Read again, first what has arrived already."""
        self._raw.resume_reading()
        asyncio.get_running_loop().call_soon(self._protocol.advance)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Limit the bytes that wait for the client."""
        self._raw.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """The bytes that wait for the client."""
        return self._raw.get_write_buffer_size()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What asyncio knows of the socket."""
        return self._raw.get_extra_info(name, default)


class TlsProtocol(asyncio.BufferedProtocol):
    """Decrypts what arrives for one connection. The handshake is part of the connection's first state."""

    def __init__(self, context: ssl.SSLContext, connection: Connection, buffer: bytearray) -> None:
        """`buffer` may be shared: the event loop fills it for one connection at a time."""
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._connection = connection
        self._buffer = buffer
        self._raw: asyncio.Transport
        self._has_begun = self._is_shaken = self._is_closed = False

    # What asyncio calls:

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Record the connection."""
        assert isinstance(transport, asyncio.Transport)
        self._raw = transport
        self._connection.connection_made(TlsTransport(self, transport))

    def get_buffer(self, sizehint: int) -> memoryview:
        """The receive buffer. It holds at least one record."""
        size = max(len(self._connection.get_buffer(sizehint)), _RECORD_BYTES)
        return memoryview(self._buffer)[:size]

    def buffer_updated(self, nbytes: int) -> None:
        """Decrypt what arrived."""
        if self._is_closed:
            self._connection.buffer_updated(nbytes)
            return
        if not self._has_begun and self._buffer[0] != _HANDSHAKE:
            self._raw.write(_NOT_TLS_RESPONSE)
            self._raw.close()
            return
        self._has_begun = True
        self._incoming.write(memoryview(self._buffer)[:nbytes])
        self.advance()

    def eof_received(self) -> bool:
        """Record that the client sends nothing more."""
        return self._connection.eof_received()

    def pause_writing(self) -> None:
        """Record that the client does not read fast enough."""
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        """Continue after everything was sent."""
        self._connection.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Free what the connection holds."""
        self._is_closed = True
        self._connection.connection_lost(exc)

    # What the transport calls:

    def advance(self) -> None:
        """Continue the handshake, or give the connection what has arrived."""
        if self._is_closed or self._raw.is_closing():
            return
        try:
            if not self._is_shaken:
                self._tls.do_handshake()
                self._is_shaken = True
            self._read()
        except ssl.SSLWantReadError:
            self._flush()
        except ssl.SSLError:
            self._flush()  # it contains the reason
            self._raw.close()

    def write(self, data: memoryview) -> None:
        """Encrypt and send. A call of OpenSSL takes at most one record."""
        while data:
            data = data[self._tls.write(data) :]
        self._flush()

    def notify_close(self) -> None:
        """Tell the client that nothing more is sent."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._is_shaken:
            with suppress(ssl.SSLError):  # it waits for the client to do the same
                self._tls.unwrap()
            self._flush()

    def _read(self) -> None:
        while self._raw.is_reading() and not self._is_closed:
            target = self._connection.get_buffer(-1)
            data = self._tls.read(len(target))
            if not data:  # the client has announced the end
                if not self._connection.eof_received():
                    self._raw.close()
                return
            target[: len(data)] = data
            self._connection.buffer_updated(len(data))
        self._flush()

    def _flush(self) -> None:
        if data := self._outgoing.read():
            self._raw.write(data)
