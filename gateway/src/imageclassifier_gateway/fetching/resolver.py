"""Resolves host names within a deadline, through the system's resolver.

The gateway uses getaddrinfo, not a resolver library with its own deadlines such as dnspython. Users expect
the gateway to resolve names as all other programs in the pod do: with /etc/hosts (`hostAliases`),
nsswitch.conf, the search domains and `ndots` of resolv.conf, both address families at once, and the order of
RFC 6724, which puts addresses without a route last. dnspython supports only the search domains and `ndots`.
It also takes 15 MB, in a process of 70 MB, and 0.13 s of CPU time to import (measured with 2.9.2).

getaddrinfo has no deadline. So each lookup runs in a thread, and a caller stops waiting for it at its
deadline. The number of these threads and their duration are bounded:
- glibc ends a lookup after 2 s for each name server and search domain (`RES_OPTIONS`, __main__.py);
- concurrent lookups of one name share one thread;
- there are as many threads as concurrent fetches;
- a lookup keeps its place until it ends, even without a waiting caller, and one site never gets all places
  (sites.py).
"""

from __future__ import annotations

import concurrent.futures
import ipaddress
import socket
import threading
from collections.abc import Callable

from ..limits.deadline import Deadline
from .allowed_addresses import Address
from .sites import SitePlaces, site_of

Lookup = Callable[[str, int], list[Address]]


class ResolverBusy(Exception):  # noqa: N818  a passing state, not an error
    """Too many lookups for names of one site are running."""


class Resolver:
    """Looks names up, at most `max_lookups` at a time. Thread-safe."""

    def __init__(self, lookup: Lookup | None, max_lookups: int) -> None:
        self._lookup = lookup or _system_lookup
        self._threads = concurrent.futures.ThreadPoolExecutor(max_lookups, thread_name_prefix="resolve")
        self._places = SitePlaces(max_lookups)
        self._running: dict[tuple[str, int], concurrent.futures.Future[list[Address]]] = {}
        self._lock = threading.Lock()

    def resolve(self, host: str, port: int, deadline: Deadline) -> list[Address]:
        """The addresses of a name; empty if the name is unknown.

        Raises TimeoutError at the deadline, and ResolverBusy.
        """
        with self._lock:
            running = self._running.get((host, port)) or self._start(host, port)
        try:
            return running.result(deadline.remaining_seconds())
        except concurrent.futures.TimeoutError:
            raise TimeoutError from None
        except (OSError, ValueError):
            return []

    def _start(self, host: str, port: int) -> concurrent.futures.Future[list[Address]]:
        granted = self._places.take({site_of(host.removesuffix("."))})
        if not granted:
            self._places.give_back(granted)
            raise ResolverBusy

        def look_up() -> list[Address]:
            try:
                return self._lookup(host, port)
            finally:
                with self._lock:
                    del self._running[host, port]
                self._places.give_back(granted)

        self._running[host, port] = future = self._threads.submit(look_up)
        return future


def _system_lookup(host: str, port: int) -> list[Address]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(ipaddress.ip_address(str(entry[4][0])) for entry in found))
