"""Fetches pictures from users' URLs without letting the users reach what only this pod can reach.

What is checked, and when:
- the URL: http or https, no credentials, one clear host name or address (no decimal, octal or hexadecimal
forms);
- every address the name resolves to, before anything is connected; one that is not allowed refuses all of
them;
- the connection goes to the very address that was checked: a name that changes its answer changes nothing;
- each redirect, from the start again;
- one deadline over everything, resolution and TLS included, not for each read;
- the bytes on the wire: no content coding is accepted, so nothing can inflate.

Own code, on the standard library's HTTP client: of the two kept libraries, requests-hardened checks the first
of the resolved addresses only and microsoft-antissrf knows nothing of deadlines or sizes; both would need all
of the rest of this module around them, and `requests` below them.
"""

from __future__ import annotations

import concurrent.futures
import http.client
import io
import ipaddress
import re
import socket
import ssl
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from .addresses import Address, is_allowed
from .deadline import Deadline

_MAX_REDIRECTS = 3
_MAX_URL_LENGTH = 2048
_MAX_ADDRESSES_TRIED = 3
_CHUNK_BYTES = 64 * 1024
_REDIRECTS = (301, 302, 303, 307, 308)
#: Types under which servers hand out pictures; those of pages, scripts and data are refused before the body
#: is read.
_OPAQUE_TYPES = ("application/octet-stream", "binary/octet-stream", "")
_HOST_NAME = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?)*\Z"
)
#: A last label that is a number makes the resolver read the whole name as an IPv4 address (WHATWG URL, 3.5).
_ENDS_IN_A_NUMBER = re.compile(r"(.*\.)?([0-9]+|0[xX][0-9a-fA-F]*)\Z")

Resolve = Callable[[str, int], list[Address]]
Connect = Callable[[Address, int, float], socket.socket]


class FetchError(Exception):
    """The picture cannot be fetched; `cause` is one of problems.CAUSES, `outcome` a word for the metric."""

    def __init__(self, cause: str, outcome: str, sentence: str) -> None:
        super().__init__(sentence)
        self.cause = cause
        self.outcome = outcome


@dataclass(frozen=True)
class Target:
    """A URL taken apart and found to be well-formed."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.scheme == "https" else 80) else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host_header}{self.path}"


def parse_url(url: str) -> Target:
    """Takes a URL apart, strictly. Raises FetchError when two programs could read it in two ways."""
    if len(url) > _MAX_URL_LENGTH:
        raise _refused(f"The URL is longer than {_MAX_URL_LENGTH} characters.")
    if any(ord(character) <= 32 or ord(character) == 127 or character == "\\" for character in url):
        raise _refused("The URL holds a space, a control character or a backslash.")
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port
    except ValueError:
        raise _refused("The URL is malformed.") from None
    if parts.scheme not in ("http", "https"):
        raise _refused("Only http:// and https:// URLs are fetched.")
    if "@" in parts.netloc:
        raise _refused("The URL holds a user name or password; pictures are fetched without.")
    if port == 0:
        raise _refused("The URL's port is 0.")
    path = urllib.parse.quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    if parts.query:
        path += "?" + urllib.parse.quote(parts.query, safe="/%:@!$&'()*+,;=~-._?")
    return Target(
        parts.scheme,
        _host(parts.netloc, parts.hostname),
        port or (443 if parts.scheme == "https" else 80),
        path,
    )


def _host(netloc: str, host: str | None) -> str:
    if not host:
        raise _refused("The URL has no host.")
    if netloc.startswith("["):
        try:
            return str(ipaddress.IPv6Address(host))
        except ValueError:
            raise _refused("The URL's host is not a plain IPv6 address.") from None
    try:
        # Also turns full-width digits and dots into plain ones, before they are looked at.
        name = host.encode("idna").decode("ascii").lower().removesuffix(".")
    except UnicodeError:
        raise _refused("The URL's host is not a valid name.") from None
    try:
        return str(ipaddress.IPv4Address(name))
    except ValueError:
        pass
    if _ENDS_IN_A_NUMBER.match(name) or not _HOST_NAME.match(name):
        raise _refused("The URL's host is neither a name nor an address in its usual form.")
    return name


def _refused(sentence: str) -> FetchError:
    return FetchError("url-refused", "refused", sentence)


def _failed(sentence: str) -> FetchError:
    return FetchError("url-not-fetched", "failed", sentence)


def _late(host: str) -> FetchError:
    return FetchError("url-not-fetched", "timeout", f"{host} did not send the whole picture in time.")


class Fetcher:
    """Fetches pictures over http and https. May be used by many threads at once.

    `resolve` and `connect` are the two ways out of the process; tests put a hostile world in their place.
    """

    def __init__(
        self,
        *,
        max_bytes: int,
        allowed_hosts: tuple[str, ...] = (),
        allow_private_networks: bool = False,
        resolve: Resolve | None = None,
        connect: Connect | None = None,
        max_resolving: int = 16,
    ) -> None:
        self._max_bytes = max_bytes
        self._allowed_hosts = allowed_hosts
        self._allow_private_networks = allow_private_networks
        self._resolve = resolve or _system_resolve
        self._connect = connect or _system_connect
        # getaddrinfo cannot be given a deadline; a thread of its own can be left behind by one.
        self._resolvers = concurrent.futures.ThreadPoolExecutor(max_resolving, thread_name_prefix="resolve")

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

    def check(self, target: Target, deadline: Deadline) -> list[Address]:
        """The addresses a target may be connected at. Raises FetchError when one of them is not allowed."""
        if self._allowed_hosts and not any(_matches(target.host, pattern) for pattern in self._allowed_hosts):
            raise _refused(f"The host {target.host} is not one that pictures are fetched from here.")
        try:
            addresses = [ipaddress.ip_address(target.host)]
        except ValueError:
            addresses = self._resolve_in_time(target, deadline)
        if not all(
            is_allowed(each, allow_private_networks=self._allow_private_networks) for each in addresses
        ):
            raise _refused(
                f"{target.host} leads to an address that is not public; pictures are not fetched from there."
            )
        return addresses

    def _resolve_in_time(self, target: Target, deadline: Deadline) -> list[Address]:
        future = self._resolvers.submit(self._resolve, target.host, target.port)
        try:
            addresses = future.result(deadline.remaining_seconds())
        except concurrent.futures.TimeoutError:
            future.cancel()
            raise _late(target.host) from None
        except (OSError, ValueError):
            addresses = []
        if not addresses:
            raise _failed(f"The name {target.host} is not known.")
        return addresses

    def _get(self, target: Target, deadline: Deadline, hold: Callable[[int], None]) -> bytes | Target:
        """One request: the body, or where it redirects to."""
        try:
            with self._open(target, deadline) as connection:
                connection.putrequest("GET", target.path, skip_host=True, skip_accept_encoding=True)
                for name, value in (
                    ("Host", target.host_header),
                    ("User-Agent", "imageclassifier-gateway"),
                    ("Accept", "image/*"),
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
            raise _failed(f"No secure connection to {target.host}: {error.reason or 'TLS failed'}.") from None
        except TimeoutError:
            raise _late(target.host) from None
        except (OSError, http.client.HTTPException, ValueError):
            raise _failed(f"{target.host} could not be reached, or its answer is not HTTP.") from None

    def _open(self, target: Target, deadline: Deadline) -> _PinnedConnection:
        """A connection to one of the checked addresses, the first that takes it."""
        refusal: OSError = OSError()
        for address in self.check(target, deadline)[:_MAX_ADDRESSES_TRIED]:
            if deadline.remaining_seconds() <= 0:
                raise TimeoutError
            try:
                plain = self._connect(address, target.port, deadline.remaining_seconds())
            except OSError as error:
                refusal = error
                continue
            try:
                plain.settimeout(max(deadline.remaining_seconds(), 0.001))
                secure = (
                    self._tls.wrap_socket(plain, server_hostname=target.host)
                    if target.scheme == "https"
                    else plain
                )
            except BaseException:
                plain.close()
                raise
            return _PinnedConnection(target, secure, deadline)
        raise refusal

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context()

    @staticmethod
    def _redirect(target: Target, response: http.client.HTTPResponse) -> Target:
        location = response.getheader("Location")
        if not location:
            raise _failed(f"{target.host} redirects to nowhere.")
        return parse_url(urllib.parse.urljoin(target.url, location))

    def _body(
        self,
        target: Target,
        response: http.client.HTTPResponse,
        deadline: Deadline,
        hold: Callable[[int], None],
    ) -> bytes:
        if response.status != 200:
            raise _failed(f"{target.host} answered {response.status}.")
        if response.getheader("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
            raise _failed(f"{target.host} sent the picture compressed, which was not asked for.")
        media_type = response.getheader("Content-Type", "").partition(";")[0].strip().lower()
        if not media_type.startswith("image/") and media_type not in _OPAQUE_TYPES:
            raise _failed(f"The URL leads to '{media_type[:60]}', not to a picture.")
        if response.length is not None and response.length > self._max_bytes:
            raise self._too_large()
        body = bytearray()
        while chunk := response.read(_CHUNK_BYTES):
            body += chunk
            if len(body) > self._max_bytes:
                raise self._too_large()
            hold(len(chunk))
            if deadline.remaining_seconds() <= 0:
                raise TimeoutError
        if response.length:
            raise _failed(f"{target.host} sent less than it announced.")
        return bytes(body)

    def _too_large(self) -> FetchError:
        sentence = f"The picture behind the URL is larger than {self._max_bytes:,} bytes."
        return FetchError("too-large", "too-large", sentence)


class _PinnedConnection(http.client.HTTPConnection):
    """An HTTP connection over a socket that is already connected, all of whose reads share one deadline."""

    def __init__(self, target: Target, connected: socket.socket, deadline: Deadline) -> None:
        super().__init__(target.host, target.port)
        self._connected = connected
        self.sock = _DeadlineSocket(connected, deadline)
        self.auto_open = 0

    def __enter__(self) -> _PinnedConnection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._connected.close()


class _DeadlineSocket:
    """What http.client needs of a socket; each operation may take what is left of the deadline."""

    def __init__(self, connected: socket.socket, deadline: Deadline) -> None:
        self._connected = connected
        self._deadline = deadline

    def sendall(self, data: bytes) -> None:
        self._connected.settimeout(self._left())
        self._connected.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        assert mode == "rb"
        return io.BufferedReader(_DeadlineReader(self))

    def recv_into(self, buffer: memoryview) -> int:
        self._connected.settimeout(self._left())
        return self._connected.recv_into(buffer)

    def close(self) -> None:
        """Nothing: the response may still be read; `_PinnedConnection` closes the socket at its end."""

    def _left(self) -> float:
        left = self._deadline.remaining_seconds()
        if left <= 0:
            raise TimeoutError
        return left


class _DeadlineReader(io.RawIOBase):
    def __init__(self, source: _DeadlineSocket) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        return self._source.recv_into(buffer)


def _matches(host: str, pattern: str) -> bool:
    """Whether a host is the pattern's, `example.org` or `*.example.org` (which is not example.org itself)."""
    if pattern.startswith("*."):
        return host.endswith(pattern[1:])
    return host == pattern


def _system_resolve(host: str, port: int) -> list[Address]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(ipaddress.ip_address(str(entry[4][0])) for entry in found))


def _system_connect(address: Address, port: int, timeout_seconds: float) -> socket.socket:
    return socket.create_connection((str(address), port), timeout=timeout_seconds)
