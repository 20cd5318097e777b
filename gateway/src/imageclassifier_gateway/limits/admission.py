"""Limits the requests in progress and the memory that they hold.

The gateway refuses a request beyond a limit at once, so that the others are answered in time.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from prometheus_client import Gauge

from ..problems import Problem

#: The keys of a request's WSGI environment under which the server stores the ticket, and the times of the
#: first and the last byte in monotonic seconds.
TICKET = "imageclassifier.ticket"
BEGAN = "imageclassifier.began"
ARRIVED = "imageclassifier.arrived"


class Slow(Enum):
    """Why a request may keep its place for long, and the share of the places for such requests.

    A quarter of the places is left for requests that are neither: small uploads always find one.
    """

    URLS = 1 / 2, "Too many requests with URLs are being worked on already. Retry soon."
    COSTLY = (
        1 / 4,
        "Too many large pictures are being worked on already. Send smaller ones, or retry.",
    )

    def __init__(self, share: float, refusal: str) -> None:
        self.share = share
        self.refusal = refusal

    def most_of(self, places: int) -> int:
        """The number of `places` that such requests may take together."""
        return max(1, int(places * self.share))


#: The share of the bytes that slow requests may hold together: they hold them for long.
_SLOW_BYTES_SHARE = 0.5
#: The share of these bytes that is left for slow requests that hold little, in equal parts for all places.
#: Otherwise a few large bodies would have small pictures behind URLs refused.
_SMALL_SHARE = 0.25


class Admission:
    """Counts the requests in flight and the bytes of pictures they hold, against a limit for each."""

    def __init__(self, max_requests: int, max_bytes: int, in_flight: Gauge, held_bytes: Gauge) -> None:
        self._max_requests = max_requests
        self._max_bytes = max_bytes
        self._requests = 0
        self._bytes = 0
        self._slow = Counter[Slow]()
        self._slow_limit = _SLOW_BYTES_SHARE * max_bytes
        self._small_bytes = (
            _SMALL_SHARE * self._slow_limit / sum(reason.most_of(max_requests) for reason in Slow)
        )
        self._slow_bytes = 0
        self._lock = threading.Lock()
        in_flight.set_function(lambda: self._requests)
        held_bytes.set_function(lambda: self._bytes)

    def open(self) -> Ticket:
        """A ticket for a request that is still arriving. It may hold bytes, but has no place yet."""
        return Ticket(self)

    def enter(self) -> Ticket:
        """Take a place for one request, as a context manager. Raises Problem if there is none."""
        ticket = Ticket(self)
        self.take_place(ticket)
        return ticket

    @contextmanager
    def place_of(self, environ: Mapping[str, Any]) -> Iterator[Ticket]:
        """The ticket of a WSGI request. If the server has stored none, the request gets its own."""
        given = environ.get(TICKET)
        if isinstance(given, Ticket):
            yield given  # the server closes it
            return
        with self.enter() as ticket:
            yield ticket

    def take_place(self, ticket: Ticket) -> None:
        """Take a place for the request of a ticket. Raises Problem if there is none."""
        with self._lock:
            if self._requests >= self._max_requests:
                raise Problem(
                    "overloaded",
                    f"The gateway already works on {self._requests} requests, which is its limit. "
                    "Retry soon.",
                )
            self._requests += 1
            ticket.has_place = True

    def leave(self, ticket: Ticket) -> None:
        """Release the place and the bytes of a ticket."""
        with self._lock:
            self._requests -= ticket.has_place
            self._bytes -= ticket.held_bytes
            self._slow.subtract(ticket.slow)
            if ticket.slow:
                self._slow_bytes -= ticket.held_bytes
            ticket.has_place, ticket.held_bytes = False, 0
            ticket.slow.clear()

    def become_slow(self, ticket: Ticket, reason: Slow) -> None:
        """Take a place for slow requests for the request of a ticket. Raises Problem if there is none."""
        with self._lock:
            if reason in ticket.slow:
                return
            self._check_slow(reason)
            if not ticket.slow:
                self._hold_slow(ticket.held_bytes, ticket.held_bytes)
            self._slow[reason] += 1
            ticket.slow.add(reason)

    def check_slow(self, reason: Slow) -> None:
        """Raise Problem if there is no place for one more slow request now."""
        with self._lock:
            self._check_slow(reason)

    def _check_slow(self, reason: Slow) -> None:
        if self._slow[reason] >= reason.most_of(self._max_requests):
            raise Problem("overloaded", reason.refusal)

    def _hold_slow(self, count_bytes: int, held_bytes: int) -> None:
        """Count more bytes of slow requests; one of them then holds `held_bytes`.

        Raises Problem if they would hold too many bytes together. One alone may.
        """
        together_bytes = self._slow_bytes + count_bytes
        is_small = held_bytes <= self._small_bytes
        limit = self._slow_limit if is_small else (1 - _SMALL_SHARE) * self._slow_limit
        if together_bytes > held_bytes and together_bytes > limit:
            raise Problem(
                "overloaded",
                "Requests with URLs and with large pictures hold too much memory already. Retry soon.",
            )
        self._slow_bytes += count_bytes

    def hold(self, ticket: Ticket, count_bytes: int) -> None:
        """Reserve bytes for the request of a ticket. Raises Problem if there are not enough."""
        if ticket.held_bytes + count_bytes > self._max_bytes:
            # Another try could not succeed either.
            raise Problem(
                "too-large",
                f"The request needs {ticket.held_bytes + count_bytes:,} bytes of memory, but the gateway has "
                f"{self._max_bytes:,} for all requests. Send fewer or smaller pictures, each as the body "
                "itself. The owner of the gateway can raise spec.gateway.maxImageBytes.",
            )
        with self._lock:
            if self._bytes + count_bytes > self._max_bytes:
                raise Problem(
                    "overloaded", "The gateway already works on too many large pictures. Retry soon."
                )
            if ticket.slow:
                self._hold_slow(count_bytes, ticket.held_bytes + count_bytes)
            self._bytes += count_bytes
            ticket.held_bytes += count_bytes


@dataclass
class Ticket:
    """One request's place, and the bytes it holds."""

    admission: Admission
    held_bytes: int = 0
    has_place: bool = False
    slow: set[Slow] = field(default_factory=set)

    def __enter__(self) -> Ticket:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Releases the place and the bytes. Later calls do nothing."""
        self.admission.leave(self)

    def take_place(self) -> None:
        """Takes one of the places for requests. Raises Problem when there is none."""
        self.admission.take_place(self)

    def become_slow(self, reason: Slow) -> None:
        """Takes a place for slow requests until the request ends. Raises Problem when there is none."""
        self.admission.become_slow(self, reason)

    def hold(self, count_bytes: int) -> None:
        """Reserves `count_bytes` more bytes. Raises Problem when they are not free."""
        self.admission.hold(self, count_bytes)
