"""Names, addresses and connections for the tests of fetching.

The fetcher keeps all of its checks in these tests. Names resolve as a test says, to public addresses where
the attack is about something else. The connection to a public address ends at the hostile server.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass, field
from typing import Any

from hostile_server import HostileServer
from imageclassifier_gateway.fetching.allowed_addresses import Address
from imageclassifier_gateway.fetching.connecting import begin_connecting
from imageclassifier_gateway.fetching.fetcher import DEFAULT_USER_AGENT, Fetcher
from imageclassifier_gateway.fetching.routes import Rules
from imageclassifier_gateway.limits.deadline import Deadline

LOOPBACK = ipaddress.ip_address("127.0.0.1")
PUBLIC = "93.184.215.14"
PUBLIC_IPV6 = "2606:2800:21f:cb07:6820:80da:af6b:8b2c"
MAX_BYTES = 1_000_000


@dataclass
class World:
    """What names resolve to, where connections end, and which were made."""

    server: HostileServer
    names: dict[str, list[str]] = field(default_factory=lambda: {"pictures.example": [PUBLIC]})
    connected: list[str] = field(default_factory=list)
    resolved: list[str] = field(default_factory=list)

    def lookup(self, host: str, port: int) -> list[Address]:
        self.resolved.append(host)
        if host.removesuffix(".") not in self.names:
            raise socket.gaierror("unknown")
        return [ipaddress.ip_address(text) for text in self.names[host.removesuffix(".")]]

    def begin(self, address: Address, port: int) -> socket.socket:
        self.connected.append(str(address))
        return begin_connecting(LOOPBACK, self.server.port)

    def fetch(
        self, url: str, seconds: float = 60.0, *, user_agent: str = DEFAULT_USER_AGENT, **rules: Any
    ) -> bytes:
        fetcher = Fetcher(
            max_bytes=MAX_BYTES,
            lookup=self.lookup,
            begin=self.begin,
            user_agent=user_agent,
            rules=Rules(**rules),
        )
        return fetcher.fetch(url, Deadline.after(seconds))
