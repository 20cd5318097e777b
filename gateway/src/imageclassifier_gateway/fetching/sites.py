"""Keeps one site from taking every place for fetches.

A slow server keeps a place until the deadline. With a fixed limit for each site, an owner whose pictures all
lie in one bucket would get little of the places even when nobody else wants them. So one site may have as
many places as it leaves free: half of them when it is alone, less when others are there (the dynamic
threshold of shared-memory switches, Choudhury and Hahne 1998).

A site is what one owner can make names for at no cost: the last two labels of a name, or three below a
country's short second level such as co.uk. That is an estimate of the registrable domain without the public
suffix list, which changes every week; where it joins two owners (example.github.io), they share their places.
"""

from __future__ import annotations

import ipaddress
import threading
from collections import Counter
from collections.abc import Collection


def site_of(host: str) -> str:
    """The part of a host that has one owner.

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
    # One customer gets a whole /64 of IPv6 addresses.
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else str(address)


class SitePlaces:
    """So many places for holders, each of which is busy with some sites."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._holders: Counter[str] = Counter()
        self._lock = threading.Lock()

    def take(self, sites: Collection[str]) -> frozenset[str]:
        """Takes one place. Returns those of the sites that it may be busy with; give it back with them."""
        with self._lock:
            self._free -= 1
            granted = frozenset(site for site in sites if self._holders[site] <= self._free)
            self._holders.update(granted)
            return granted

    def give_back(self, granted: frozenset[str]) -> None:
        """Gives back a place taken with these sites."""
        with self._lock:
            self._free += 1
            self._holders.subtract(granted)
            for site in granted:
                if not self._holders[site]:
                    del self._holders[site]
