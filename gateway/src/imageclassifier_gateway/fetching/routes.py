"""The way to the host of a URL: what is checked before anything is connected, and the connection.

It goes directly to an address that was checked, or through the proxy of the settings.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from ..config import SettingError, Settings
from ..limits.deadline import Deadline
from .allowed_addresses import Address, address_is_allowed
from .connecting import Begin, connect
from .failures import busy, failed, late
from .proxy import Proxy, is_inside
from .resolver import Resolver, ResolverBusy
from .trust import Trust
from .turn import Turn
from .urls import Target, refused


@dataclass(frozen=True)
class Rules:
    """What may be fetched, and how. `trust`: whose certificates are trusted."""

    allowed_hosts: tuple[str, ...] = ()
    allow_private_networks: bool = False
    proxy: Proxy | None = None
    trust: Trust = field(default_factory=Trust)

    @classmethod
    def of_settings(cls, settings: Settings) -> Self:
        """The rules in the settings. Raises SettingError if the file with certificates cannot be used."""
        proxy = None
        if settings.url_proxy:
            proxy = Proxy.parse(
                settings.url_proxy,
                settings.url_proxy_direct_hosts,
                settings.url_proxy_user,
                settings.url_proxy_password,
            )
        try:
            trust = Trust(settings.url_ca_file)
        except OSError as error:
            raise SettingError(
                f"GATEWAY_URL_CA_FILE is {settings.url_ca_file}, which contains no usable certificates: "
                f"{error}. Use a file with certificates in the form PEM."
            ) from None
        return cls(settings.url_allowed_hosts, settings.url_allow_private_networks, proxy, trust)

    def proxy_of(self, target: Target) -> Proxy | None:
        """The proxy for a target; None if it is fetched directly."""
        proxy = self.proxy
        return None if proxy is None or _matches_any(target.host, proxy.direct) else proxy

    def forwarding_proxy(self, target: Target) -> Proxy | None:
        """The proxy that reads the request itself, because it is not encrypted."""
        return self.proxy_of(target) if target.scheme == "http" else None

    def check_host(self, target: Target) -> None:
        """Raise FetchError if the host is not allowed."""
        if self.allowed_hosts and not _matches_any(target.host, self.allowed_hosts):
            raise refused(f"The host {target.host} is not in spec.gateway.urls.allowedHosts.")

    def check_addresses(self, target: Target, addresses: Sequence[Address]) -> None:
        """Raise FetchError if one of the addresses is not allowed."""
        if not all(
            address_is_allowed(each, allow_private_networks=self.allow_private_networks) for each in addresses
        ):
            raise refused(
                f"{target.host} resolves to an address that is not public. The gateway does not fetch from "
                f"it."
            )

    def check_through_proxy(self, target: Target) -> None:
        """Raise FetchError if a proxy, which resolves the name itself, must not be asked for it."""
        self.check_host(target)
        written = _written_address(target.host)
        if written is not None:
            self.check_addresses(target, [written])
        elif is_inside(target.host) and not self.allow_private_networks:
            raise refused(f"{target.host} is not a public name. The gateway does not fetch from it.")


class Routes:
    """Opens connections to targets. May be used by many threads at once."""

    def __init__(self, rules: Rules, resolver: Resolver, begin: Begin, turn: Turn) -> None:
        self._rules, self._resolver, self._begin, self._turn = rules, resolver, begin, turn

    def open(self, target: Target, user_agent: str, deadline: Deadline) -> socket.socket:
        """A connection on which requests can be sent, with TLS for https.

        The caller has the turn, which is released while the thread waits. Raises FetchError and OSError.
        """
        plain = self._connect(target, user_agent, deadline)
        try:
            # For the whole handshake, however small its pieces are.
            plain.settimeout(deadline.socket_timeout())
            return self._secure(plain, target) if target.scheme == "https" else plain
        except BaseException:
            plain.close()
            raise

    def checked_addresses(self, target: Target, deadline: Deadline) -> list[Address]:
        """The addresses a target may be connected at. Raises FetchError when one of them is not allowed."""
        self._rules.check_host(target)
        written = _written_address(target.host)
        addresses = [written] if written is not None else self._resolve(target, deadline)
        self._rules.check_addresses(target, addresses)
        return addresses

    def _resolve(self, target: Target, deadline: Deadline) -> list[Address]:
        try:
            addresses = self._resolver.resolve(self._name(target.host), target.port, deadline)
        except TimeoutError:
            raise late(target.host) from None
        except ResolverBusy:
            raise busy(target.host) from None
        if not addresses:
            raise failed(f"The host name {target.host} was not found.")
        return addresses

    def _name(self, host: str) -> str:
        """The name for the resolver, with a final dot for public names.

        Without the dot, the resolver of a pod first tries the domains of the cluster (ndots:5).
        """
        return host if self._rules.allow_private_networks or "." not in host else f"{host}."

    def _connect(self, target: Target, user_agent: str, deadline: Deadline) -> socket.socket:
        """A connection to the target, or to the proxy that stands in its place."""
        proxy = self._rules.proxy_of(target)
        if proxy is None:
            with self._turn.released():
                addresses = self.checked_addresses(target, deadline)
            return connect(addresses, target.port, deadline, self._begin, self._turn.released)
        self._rules.check_through_proxy(target)
        with self._turn.released():
            plain = self._connect_to(proxy, deadline)
            try:
                if target.scheme == "https":
                    proxy.open_tunnel(plain, target, user_agent, deadline)
            except BaseException:
                plain.close()
                raise
        return plain

    def _connect_to(self, proxy: Proxy, deadline: Deadline) -> socket.socket:
        """A connection to the proxy. An administrator named it, so its address is not checked."""
        try:
            written = _written_address(proxy.host)
            if written is not None:
                addresses = [written]
            else:
                addresses = self._resolver.resolve(proxy.host, proxy.port, deadline)
            return connect(addresses, proxy.port, deadline, self._begin)
        except (OSError, ResolverBusy):
            raise failed(
                f"The proxy of the gateway, {proxy.host}:{proxy.port}, could not be reached."
            ) from None

    def _secure(self, plain: socket.socket, target: Target) -> ssl.SSLSocket:
        tls = self._rules.trust.context()
        with self._turn.released():
            return tls.wrap_socket(plain, server_hostname=target.host)


def _written_address(host: str) -> Address | None:
    """The address that a URL has in the place of a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _matches_any(host: str, patterns: Sequence[str]) -> bool:
    return any(_matches(host, pattern) for pattern in patterns)


def _matches(host: str, pattern: str) -> bool:
    """Whether a host is the pattern's, `example.org` or `*.example.org` (which is not example.org itself)."""
    if pattern.startswith("*."):
        return host.endswith(pattern[1:])
    return host == pattern
