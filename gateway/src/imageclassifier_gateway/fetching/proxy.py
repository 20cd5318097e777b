"""The HTTP proxy through which the gateway fetches if its cluster forbids direct connections.

A proxy resolves the names itself, so the gateway cannot check the addresses behind them. It refuses names
that usually mean a place inside, and the proxy must refuse the rest.
"""

from __future__ import annotations

import base64
import socket
import urllib.parse
from dataclasses import dataclass
from typing import Self

from ..limits.deadline import Deadline
from .failures import failed
from .urls import Target

_MAX_HEAD_BYTES = 16 * 1024
_INSIDE = ("internal", "local", "localdomain", "localhost", "svc")
"""The last labels of names inside a cluster or company."""


@dataclass(frozen=True)
class Proxy:
    """An HTTP proxy. `direct`: the hosts that are fetched without it, as `example.org` or `*.example.org`."""

    host: str
    port: int
    direct: tuple[str, ...] = ()
    authorization: str = ""
    """The value of the header Proxy-Authorization."""

    @classmethod
    def parse(cls, url: str, direct: tuple[str, ...] = (), user: str = "", password: str = "") -> Self:
        """Read `http://host:port`, which the settings have checked."""
        parts = urllib.parse.urlsplit(url)
        secret = base64.b64encode(f"{user}:{password}".encode()).decode()
        assert parts.hostname is not None
        assert parts.port is not None
        return cls(parts.hostname, parts.port, direct, f"Basic {secret}" if user else "")

    def open_tunnel(self, plain: socket.socket, target: Target, user_agent: str, deadline: Deadline) -> None:
        """Make the connection to the proxy a connection to `target` (RFC 9110, CONNECT).

        Raises FetchError if the proxy refuses, and OSError if the connection breaks or the time is over.
        """
        lines = [
            f"CONNECT {target.authority} HTTP/1.1",
            f"Host: {target.authority}",
            f"User-Agent: {user_agent}",
            *([f"Proxy-Authorization: {self.authorization}"] if self.authorization else ()),
        ]
        plain.settimeout(deadline.socket_timeout())
        plain.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
        status = _status(_read_head(plain, deadline))
        if not 200 <= status < 300:
            raise self.refusal(target, status)

    def refusal(self, target: Target, status: int) -> Exception:
        """The error for a request that the proxy does not pass on."""
        why = {
            403: " Its rules do not allow this host.",
            407: " It wants a user and a password: see spec.gateway.urls.proxy.credentialsSecret.",
        }
        return failed(
            f"The proxy of the gateway refused the connection to {target.host} with status {status}."
            f"{why.get(status, '')}"
        )


def is_inside(host: str) -> bool:
    """Whether a name usually means a place in a cluster or company, or the machine of the proxy itself.

    >>> is_inside("localhost"), is_inside("web.default.svc"), is_inside("example.org")
    (True, True, False)
    """
    labels = host.split(".")
    return len(labels) == 1 or labels[-1] in _INSIDE


def _read_head(plain: socket.socket, deadline: Deadline) -> bytes:
    """The head of the response. Nothing follows it before this side has sent something."""
    head = b""
    while b"\r\n\r\n" not in head and len(head) <= _MAX_HEAD_BYTES:
        plain.settimeout(deadline.socket_timeout())
        received = plain.recv(4096)
        if not received:
            break
        head += received
    return head


def _status(head: bytes) -> int:
    words = head.split(b"\r\n", 1)[0].split(None, 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
        raise failed("The proxy of the gateway did not send a valid HTTP response.")
    return int(words[1])
