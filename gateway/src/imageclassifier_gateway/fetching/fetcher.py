"""Fetches pictures from users' URLs without letting the users reach what only this pod can reach.

What is checked, and when:
- the URL: http or https, no credentials, one clear host name or address (no decimal, octal or hexadecimal
forms);
- every address the name resolves to, before anything is connected; one that is not allowed refuses all of
them;
- the connection goes to exactly an address that was checked: a name that changes its answer changes nothing;
- each redirect, from the start again;
- one deadline over everything, resolution and TLS included, not for each read;
- the bytes on the wire: what surrounds the body (headers, sizes of chunks, trailers) has a limit of its own
(pinned_connection.py);
- the bytes after decompression: no coding is asked for, but object stores return files as they are stored, so
gzip is decompressed in pieces, which are counted like those of other bodies.

HTTP_PROXY and HTTPS_PROXY of the environment are not used: URLs are fetched directly. A proxy would resolve
the name again, so that the address that was checked would not be the one that is connected.

Own code, on the standard library's HTTP client: of the two kept libraries, requests-hardened checks the first
of the resolved addresses only and microsoft-antissrf knows nothing of deadlines or sizes; both would need all
of the rest of this module around them, and `requests` below them.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import socket
import ssl
import urllib.parse
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import cached_property

from imageclassifier_gateway import __version__

from ..limits.deadline import Deadline
from .allowed_addresses import Address, address_is_allowed
from .body import read_body
from .connecting import Begin, begin_connecting, connect
from .failures import busy, failed, late
from .pinned_connection import PinnedConnection
from .place import Place, host_of, take_place
from .resolver import Lookup, Resolver, ResolverBusy
from .sites import SitePlaces, site_of
from .turn import Turn
from .urls import FetchError, Target, parse_url, refused

#: Pictures of one request that are fetched at the same time.
FETCHES_PER_REQUEST = 4
#: Browsers follow 20. Link shorteners and object stores need up to five.
_MAX_REDIRECTS = 10
#: Wikimedia and others refuse programs that do not name themselves. The setting can add an address.
DEFAULT_USER_AGENT = f"imageclassifier-gateway/{__version__}"
_REDIRECTS = (301, 302, 303, 307, 308)


class Fetcher:
    """Fetches pictures over http and https. May be used by many threads at once.

    `max_requests` is how many requests may fetch at the same time.
    `lookup` and `begin` are the two ways out of the process; tests put a hostile world in their place.
    """

    def __init__(
        self,
        *,
        max_bytes: int,
        allowed_hosts: tuple[str, ...] = (),
        allow_private_networks: bool = False,
        user_agent: str = DEFAULT_USER_AGENT,
        max_requests: int = 32,
        lookup: Lookup | None = None,
        begin: Begin = begin_connecting,
    ) -> None:
        self._max_bytes = max_bytes
        self._allowed_hosts = allowed_hosts
        self._allow_private_networks = allow_private_networks
        self._user_agent = user_agent
        self._places = SitePlaces(max_requests)
        self._resolver = Resolver(lookup, max_requests * FETCHES_PER_REQUEST)
        self._begin = begin
        self._turn = Turn()

    def place(self, urls: Sequence[str]) -> AbstractContextManager[Place]:
        """Take one request's place, as a context manager (place.py)."""
        return take_place(self._places, self.fetch, urls)

    def refusal(self, url: str) -> FetchError | None:
        """Why the picture behind a URL cannot be fetched now, because others fetch too much from its site."""
        host = host_of(url)
        return None if host is None or self._places.would_grant(site_of(host)) else busy(host)

    def fetch(self, url: str, deadline: Deadline, hold: Callable[[int], None] = lambda _: None) -> bytes:
        """The bytes behind a URL. Raises FetchError.

        `hold` is called with the number of bytes each time some more are kept in memory, and may raise to
        stop it.
        """
        target = parse_url(url)
        for _ in range(_MAX_REDIRECTS + 1):
            answer = self._get(target, deadline, hold)
            if isinstance(answer, bytes):
                return answer
            target = answer
        raise failed(f"The URL redirects more than {_MAX_REDIRECTS} times.")

    def checked_addresses(self, target: Target, deadline: Deadline) -> list[Address]:
        """The addresses a target may be connected at. Raises FetchError when one of them is not allowed."""
        if self._allowed_hosts and not any(_matches(target.host, pattern) for pattern in self._allowed_hosts):
            raise refused(f"The host {target.host} is not in spec.gateway.urls.allowedHosts.")
        try:
            addresses = [ipaddress.ip_address(target.host)]
        except ValueError:
            addresses = self._resolve_in_time(target, deadline)
        if not all(
            address_is_allowed(each, allow_private_networks=self._allow_private_networks)
            for each in addresses
        ):
            raise refused(
                f"{target.host} resolves to an address that is not public. The gateway does not fetch from "
                f"it."
            )
        return addresses

    def _resolve_in_time(self, target: Target, deadline: Deadline) -> list[Address]:
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
        return host if self._allow_private_networks or "." not in host else f"{host}."

    def _get(self, target: Target, deadline: Deadline, hold: Callable[[int], None]) -> bytes | Target:
        """One request: the body, or where it redirects to."""
        try:
            with self._turn, self._open(target, deadline) as connection:
                connection.putrequest("GET", target.path, skip_host=True, skip_accept_encoding=True)
                for name, value in (
                    ("Host", target.host_header),
                    ("User-Agent", self._user_agent),
                    # Some servers answer 406 to a request that takes only pictures.
                    ("Accept", "image/*, */*;q=0.8"),
                    ("Accept-Encoding", "identity"),
                    ("Connection", "close"),
                ):
                    connection.putheader(name, value)
                connection.endheaders()
                response = connection.getresponse()
                if response.status in _REDIRECTS:
                    return self._redirect(target, response)
                return read_body(target, response, deadline, hold, self._max_bytes)
        except ssl.SSLError as error:
            raise failed(
                f"The TLS connection to {target.host} failed: {error.reason or 'no reason given'}."
            ) from None
        except TimeoutError:
            raise late(target.host) from None
        except (OSError, http.client.HTTPException, ValueError):
            raise failed(
                f"{target.host} could not be reached, or did not send a valid HTTP response."
            ) from None

    def _open(self, target: Target, deadline: Deadline) -> PinnedConnection:
        """A connection to one of the checked addresses, the first that takes it."""
        with self._turn.released():
            addresses = self.checked_addresses(target, deadline)
        plain = connect(addresses, target.port, deadline, self._begin, self._turn.released)
        try:
            # For the whole handshake, however small its pieces are.
            plain.settimeout(max(deadline.remaining_seconds(), 0.001))
            secure = self._secure(plain, target) if target.scheme == "https" else plain
        except BaseException:
            plain.close()
            raise
        return PinnedConnection(target, secure, deadline, self._turn)

    def _secure(self, plain: socket.socket, target: Target) -> ssl.SSLSocket:
        tls = self._tls
        with self._turn.released():
            return tls.wrap_socket(plain, server_hostname=target.host)

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context()

    @staticmethod
    def _redirect(target: Target, response: http.client.HTTPResponse) -> Target:
        location = response.getheader("Location")
        if not location:
            raise failed(f"{target.host} redirects to nowhere.")
        with contextlib.suppress(UnicodeDecodeError):
            # Servers send a path with other characters as UTF-8. http.client reads headers as Latin-1.
            location = location.encode("latin-1").decode()
        return parse_url(urllib.parse.urljoin(target.url, location.strip()))


def _matches(host: str, pattern: str) -> bool:
    """Whether a host is the pattern's, `example.org` or `*.example.org` (which is not example.org itself)."""
    if pattern.startswith("*."):
        return host.endswith(pattern[1:])
    return host == pattern
