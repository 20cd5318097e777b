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
import io
import ipaddress
import socket
import ssl
import time
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property

from imageclassifier_gateway import __version__

from ..limits.deadline import Deadline
from ..limits.pauses import Pauses
from .allowed_addresses import Address, address_is_allowed
from .connecting import Begin, begin_connecting, connect
from .decompression import MAGIC, DamagedBody, Gunzip
from .pinned_connection import PinnedConnection
from .resolver import Lookup, Resolver, ResolverBusy
from .responses import coding_problem, is_gzip, status_problem, type_problem
from .sites import SitePlaces, site_of
from .turn import Turn
from .urls import FetchError, Target, parse_url, refused

#: Pictures of one request that are fetched at the same time.
FETCHES_PER_REQUEST = 4
#: Browsers follow 20. Link shorteners and object stores need up to five.
_MAX_REDIRECTS = 10
#: Wikimedia and others refuse programs that do not name themselves. The setting can add an address.
DEFAULT_USER_AGENT = f"imageclassifier-gateway/{__version__}"
_CHUNK_BYTES = 64 * 1024
#: A fetch pauses between the chunks of a longer body.
_FREE_BODY_BYTES = 1_000_000
#: A request whose fetch was in vain ends at once, but its place is kept for this multiple of the CPU time
#: of the fetch. One site can have half of 32 places, so its fetches in vain take at most a sixth of a core.
#: Otherwise servers that waste time would take a whole core, because the next request follows at once: with
#: chunks of one byte, redirects in a circle, bodies without end, and pictures that are too large to decode
#: now.
_KEPT_FOR_CPU_SECOND = 100
#: The CPU time of such a request beside its fetches.
_REQUEST_CPU_SECONDS = 0.004
#: A server that drips keeps a place for longer than this by default.
_MAX_KEPT_SECONDS = 5.0
_REDIRECTS = (301, 302, 303, 307, 308)


def _failed(sentence: str) -> FetchError:
    return FetchError("url-not-fetched", "failed", sentence)


def _late(host: str) -> FetchError:
    return FetchError("url-not-fetched", "timeout", f"{host} did not send the whole picture in time.")


def _busy(host: str) -> FetchError:
    return FetchError(
        "overloaded", "busy", f"The gateway already fetches many pictures from {site_of(host)}. Retry soon."
    )


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

    @contextmanager
    def place(self, urls: Sequence[str]) -> Iterator[Place]:
        """Take one request's place, as a context manager.

        The place is kept for a while after fetches that fail, and after all fetches if the block raises.
        """
        hosts = {url: host for url in urls if (host := _host_of(url)) is not None}
        place = Place(self, hosts, self._places.take({site_of(host) for host in hosts.values()}))
        wasted_seconds = 0.0
        try:
            yield place
            wasted_seconds = place.failed_seconds
        except BaseException:
            wasted_seconds = place.fetched_seconds + place.failed_seconds
            raise
        finally:
            if wasted_seconds:
                wasted_seconds += _REQUEST_CPU_SECONDS
            keep_seconds = min(_MAX_KEPT_SECONDS, _KEPT_FOR_CPU_SECOND * wasted_seconds)
            self._places.give_back(place.granted, keep_seconds)

    def refusal(self, url: str) -> FetchError | None:
        """Why the picture behind a URL cannot be fetched now, because others fetch too much from its site."""
        host = _host_of(url)
        return None if host is None or self._places.would_grant(site_of(host)) else _busy(host)

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
        raise _failed(f"The URL redirects more than {_MAX_REDIRECTS} times.")

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
            raise _late(target.host) from None
        except ResolverBusy:
            raise _busy(target.host) from None
        if not addresses:
            raise _failed(f"The host name {target.host} was not found.")
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
                return self._body(target, response, deadline, hold)
        except ssl.SSLError as error:
            raise _failed(
                f"The TLS connection to {target.host} failed: {error.reason or 'no reason given'}."
            ) from None
        except TimeoutError:
            raise _late(target.host) from None
        except (OSError, http.client.HTTPException, ValueError):
            raise _failed(
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
            raise _failed(f"{target.host} redirects to nowhere.")
        with contextlib.suppress(UnicodeDecodeError):
            # Servers send a path with other characters as UTF-8. http.client reads headers as Latin-1.
            location = location.encode("latin-1").decode()
        return parse_url(urllib.parse.urljoin(target.url, location.strip()))

    def _body(
        self,
        target: Target,
        response: http.client.HTTPResponse,
        deadline: Deadline,
        hold: Callable[[int], None],
    ) -> bytes:
        refusal = status_problem(target.host, response.status) or coding_problem(
            target.host, response.getheader("Content-Encoding", "")
        )
        if refusal is not None:
            raise _failed(refusal)
        media_type = response.getheader("Content-Type", "").partition(";")[0].strip().lower()
        if response.length is not None and response.length > self._max_bytes:
            raise self._too_large()
        # Its value is handed over without a copy: no more is in memory than `hold` knows of.
        body, pause = io.BytesIO(), Pauses()
        for chunk in _decoded(target, response, self._max_bytes):
            if chunk and not body.tell() and (refusal := type_problem(media_type, chunk)):
                raise _failed(refusal)
            if body.tell() + len(chunk) > self._max_bytes:
                raise self._too_large()
            hold(len(chunk))
            body.write(chunk)
            if body.tell() > _FREE_BODY_BYTES:
                pause()  # without giving the turn away: all fetches together take a third of a core
            if deadline.remaining_seconds() <= 0:
                raise TimeoutError
        if response.length:
            raise _failed(f"{target.host} sent fewer bytes than its Content-Length.")
        return body.getvalue()

    def _too_large(self) -> FetchError:
        sentence = f"The picture behind the URL is larger than {self._max_bytes:,} bytes."
        return FetchError("too-large", "too-large", sentence)


class Place:
    """The place of one request, for the sites that were granted to it. May be used by several threads."""

    def __init__(self, fetcher: Fetcher, hosts: dict[str, str], granted: frozenset[str]) -> None:
        self._fetcher = fetcher
        self._hosts = hosts
        self.granted = granted
        #: The CPU time of fetches that returned a picture, and of those that failed.
        self.fetched_seconds = 0.0
        self.failed_seconds = 0.0

    def refusal(self, url: str) -> FetchError | None:
        """Why a URL of the request cannot be fetched now, because others fetch too much from its site."""
        host = self._hosts.get(url)
        return None if host is None or site_of(host) in self.granted else _busy(host)

    def fetch(self, url: str, deadline: Deadline, hold: Callable[[int], None]) -> bytes:
        """The bytes behind a URL of the request, as Fetcher.fetch returns them. Raises FetchError."""
        if (refusal := self.refusal(url)) is not None:
            raise refusal
        began = time.thread_time()
        try:
            data = self._fetcher.fetch(url, deadline, hold)
        except BaseException:
            self.failed_seconds += time.thread_time() - began
            raise
        self.fetched_seconds += time.thread_time() - began
        return data


def _matches(host: str, pattern: str) -> bool:
    """Whether a host is the pattern's, `example.org` or `*.example.org` (which is not example.org itself)."""
    if pattern.startswith("*."):
        return host.endswith(pattern[1:])
    return host == pattern


def _host_of(url: str) -> str | None:
    try:
        return parse_url(url).host
    except FetchError:
        return None


def _decoded(target: Target, response: http.client.HTTPResponse, max_bytes: int) -> Iterator[bytes]:
    """The body in pieces, decompressed if it is gzip. A picture that only claims to be gzip stays as it is.

    Each read yields a piece, which may be empty, so that the caller can check the deadline.
    """
    is_compressed = is_gzip(response.getheader("Content-Encoding", ""))
    gunzip = Gunzip(_CHUNK_BYTES, max_bytes) if is_compressed else None
    is_empty = True
    try:
        while chunk := response.read(_CHUNK_BYTES):
            if is_empty and not chunk.startswith(MAGIC):
                gunzip = None
            is_empty = False
            if gunzip is None:
                yield chunk
                continue
            yield from gunzip.pieces(chunk)
            if gunzip.is_complete:
                return
            yield b""
    except DamagedBody as error:
        raise _failed(f"{target.host} {error}. Store the picture again.") from None
    if gunzip is not None and not is_empty:
        raise _failed(f"{target.host} sent gzip data that is truncated. Store the picture again.")
