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

HTTP_PROXY and HTTPS_PROXY of the environment are not used: URLs are fetched directly, unless a setting names
a proxy. A proxy resolves the names, so the gateway checks only addresses in URLs then, and names that mean a
place inside (proxy.py).

Own code, on the standard library's HTTP client: of the two kept libraries, requests-hardened checks the first
of the resolved addresses only and microsoft-antissrf knows nothing of deadlines or sizes; both would need all
of the rest of this module around them, and `requests` below them.
"""

from __future__ import annotations

import contextlib
import http.client
import ssl
import urllib.parse
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Self

from imageclassifier_gateway import __version__

from ..config import Settings
from ..limits.deadline import Deadline
from .body import read_body
from .connecting import Begin, begin_connecting
from .failures import busy, failed, late
from .pinned_connection import PinnedConnection
from .place import Place, host_of, take_place
from .proxy import Proxy
from .resolver import Lookup, Resolver
from .routes import Routes, Rules
from .sites import SitePlaces, site_of
from .turn import Turn
from .urls import FetchError, Target, parse_url

#: Pictures of one request that are fetched at the same time.
FETCHES_PER_REQUEST = 4
#: Browsers follow 20. Link shorteners and object stores need up to five.
_MAX_REDIRECTS = 10
#: Wikimedia and others refuse programs that do not name themselves. The setting can add an address.
DEFAULT_USER_AGENT = f"imageclassifier-gateway/{__version__}"
_REDIRECTS = (301, 302, 303, 307, 308)
_WANTS_A_PASSWORD = 407


class Fetcher:
    """Fetches pictures over http and https. May be used by many threads at once.

    `rules`: what may be fetched; by default any public host. `max_requests`: how many requests may fetch at
    the same time. `lookup` and `begin` are the two ways out of the process; tests put a hostile world in
    their place.
    """

    def __init__(
        self,
        *,
        max_bytes: int,
        rules: Rules | None = None,
        user_agent: str = DEFAULT_USER_AGENT,
        max_requests: int = 32,
        lookup: Lookup | None = None,
        begin: Begin = begin_connecting,
    ) -> None:
        self._max_bytes, self._user_agent = max_bytes, user_agent
        self._rules, self._turn = rules or Rules(), Turn()
        self._places = SitePlaces(max_requests)
        resolver = Resolver(lookup, max_requests * FETCHES_PER_REQUEST)
        self._routes = Routes(self._rules, resolver, begin, self._turn)

    @classmethod
    def of_settings(cls, settings: Settings, max_requests: int = 1) -> Self:
        """The fetcher of a process with these settings. Raises SettingError if they cannot be used."""
        return cls(
            max_bytes=settings.max_image_bytes,
            rules=Rules.of_settings(settings),
            user_agent=settings.url_user_agent or DEFAULT_USER_AGENT,
            max_requests=max_requests,
        )

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

    def _get(self, target: Target, deadline: Deadline, hold: Callable[[int], None]) -> bytes | Target:
        """One request: the body, or where it redirects to."""
        try:
            with self._turn, self._open(target, deadline) as connection:
                forwarding = self._rules.forwarding_proxy(target)
                path = target.path if forwarding is None else target.url
                connection.putrequest("GET", path, skip_host=True, skip_accept_encoding=True)
                for name, value in (
                    *_proxy_headers(forwarding),
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
                if forwarding is not None and response.status == _WANTS_A_PASSWORD:
                    raise forwarding.refusal(target, response.status)
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
        connected = self._routes.open(target, self._user_agent, deadline)
        return PinnedConnection(target, connected, deadline, self._turn)

    @staticmethod
    def _redirect(target: Target, response: http.client.HTTPResponse) -> Target:
        location = response.getheader("Location")
        if not location:
            raise failed(f"{target.host} redirects to nowhere.")
        with contextlib.suppress(UnicodeDecodeError):
            # Servers send a path with other characters as UTF-8. http.client reads headers as Latin-1.
            location = location.encode("latin-1").decode()
        return parse_url(urllib.parse.urljoin(target.url, location.strip()))


def _proxy_headers(proxy: Proxy | None) -> tuple[tuple[str, str], ...]:
    """The headers that a proxy needs to pass a request on."""
    authorization = "" if proxy is None else proxy.authorization
    return (("Proxy-Authorization", authorization),) if authorization else ()
