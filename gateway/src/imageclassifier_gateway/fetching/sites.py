"""Prevents one site from taking all places for fetches.

A slow server holds a place until the deadline. A fixed limit for each site would slow down users whose
pictures are all in one bucket, even when most places are free. So the limit is dynamic: a site may hold as
many places as are free. That is half of all places for a single site, and fewer when other sites hold places
too (the dynamic threshold of shared-memory switches, Choudhury and Hahne 1998).

A site is the set of names that one owner can create for free. It is the last two labels of a name, or the
last three below a country's short second level such as co.uk. This estimates the registrable domain without
the public suffix list, which changes every week. Owners below a shared domain, such as github.io, share one
limit.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection
from heapq import heappop, heappush


def site_of(host: str) -> str:
    """The site of a host name or address.

    >>> site_of("a.b.example.org"), site_of("a.example.co.uk"), site_of("example.org")
    ('example.org', 'example.co.uk', 'example.org')
    >>> site_of("93.184.215.14"), site_of("2606:2800:21f::1")
    ('93.184.215.14', '2606:2800:21f::/64')
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        labels = host.split(".")
        is_country = len(labels) > 2 and len(labels[-1]) == 2 and len(labels[-2]) <= 3
        return ".".join(labels[-3 if is_country else -2 :])
    # Providers assign at least a /64 of IPv6 addresses to each customer.
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else str(address)


class SitePlaces:
    """A fixed number of places. Each holder of a place is busy with one or more sites. Thread-safe.

    A place can be kept for a while after its holder has ended. `now` returns monotonic seconds.
    """

    def __init__(self, places: int, now: Callable[[], float] = time.monotonic) -> None:
        self._free = places
        self._holders: Counter[str] = Counter()
        #: The kept places: when each becomes free, and the sites that it counts for.
        self._kept: list[tuple[float, frozenset[str]]] = []
        self._now = now
        self._lock = threading.Lock()

    def take(self, sites: Collection[str]) -> frozenset[str]:
        """Take one place. Returns the sites that its holder may use; pass them to `give_back`."""
        with self._lock:
            self._end_kept()
            self._free -= 1
            granted = frozenset(site for site in sites if self._holders[site] <= self._free)
            self._holders.update(granted)
            return granted

    def would_grant(self, site: str) -> bool:
        """Whether `take` would grant this site now."""
        with self._lock:
            self._end_kept()
            return self._holders[site] < self._free

    def give_back(self, granted: frozenset[str], keep_seconds: float = 0.0) -> None:
        """Release a place that `take` granted for these sites, or keep it for them for some more seconds."""
        with self._lock:
            if keep_seconds > 0:
                heappush(self._kept, (self._now() + keep_seconds, granted))
            else:
                self._release(granted)

    def _end_kept(self) -> None:
        while self._kept and self._kept[0][0] <= self._now():
            self._release(heappop(self._kept)[1])

    def _release(self, granted: frozenset[str]) -> None:
        self._free += 1
        self._holders.subtract(granted)
        for site in granted:
            if not self._holders[site]:
                del self._holders[site]
