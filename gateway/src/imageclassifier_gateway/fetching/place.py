"""The place of one request among all that fetch, which it keeps for a while after wasted fetches."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from ..limits.deadline import Deadline
from .failures import busy
from .sites import SitePlaces, site_of
from .urls import FetchError, parse_url

#: A fetch is wasted if it fails, or if its picture is then refused. The request ends at once, but its place
#: is kept for this multiple of the CPU time of the fetch. One site can have half of 32 places, so its
#: wasted fetches take at most a sixth of a core. Otherwise servers that waste time would take a whole core,
#: because the next request follows at once: with chunks of one byte, redirects in a circle, bodies without
#: end, and pictures that are too large to decode now.
_KEPT_FOR_CPU_SECOND = 100
#: The CPU time of such a request beside its fetches.
_REQUEST_CPU_SECONDS = 0.004
#: A server that drips keeps a place for longer than this by default.
_MAX_KEPT_SECONDS = 5.0

Hold = Callable[[int], None]
Fetch = Callable[[str, Deadline, Hold], bytes]


class Place:
    """The place of one request, for the sites that were granted to it. May be used by several threads."""

    def __init__(self, fetch: Fetch, hosts: dict[str, str], granted: frozenset[str]) -> None:
        self._fetch = fetch
        self._hosts = hosts
        self.granted = granted
        #: The CPU time of fetches that returned a picture, and of those that failed.
        self.fetched_seconds = 0.0
        self.failed_seconds = 0.0

    def refusal(self, url: str) -> FetchError | None:
        """Why a URL of the request cannot be fetched now, because others fetch too much from its site."""
        host = self._hosts.get(url)
        return None if host is None or site_of(host) in self.granted else busy(host)

    def fetch(self, url: str, deadline: Deadline, hold: Callable[[int], None]) -> bytes:
        """The bytes behind a URL of the request, as Fetcher.fetch returns them. Raises FetchError."""
        if (refusal := self.refusal(url)) is not None:
            raise refusal
        began = time.thread_time()
        try:
            data = self._fetch(url, deadline, hold)
        except BaseException:
            self.failed_seconds += time.thread_time() - began
            raise
        self.fetched_seconds += time.thread_time() - began
        return data


@contextmanager
def take_place(places: SitePlaces, fetch: Fetch, urls: Sequence[str]) -> Iterator[Place]:
    """Take a place for a request with these URLs.

    It is kept for a while after fetches that fail, and after all fetches if the block raises.
    """
    hosts = {url: host for url in urls if (host := host_of(url)) is not None}
    place = Place(fetch, hosts, places.take({site_of(host) for host in hosts.values()}))
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
        places.give_back(place.granted, min(_MAX_KEPT_SECONDS, _KEPT_FOR_CPU_SECOND * wasted_seconds))


def host_of(url: str) -> str | None:
    """The host of a URL; None if it is no URL that can be fetched."""
    try:
        return parse_url(url).host
    except FetchError:
        return None
