"""Limits the requests in progress and the memory that they hold.

The gateway refuses a request beyond a limit at once, so that the others are answered in time.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import Gauge

from ..problems import Problem
from .slow import Slow, SlowRequests

#: The keys of a request's WSGI environment under which the server stores the ticket, and the times of the
#: first and the last byte in monotonic seconds.
TICKET = "imageclassifier.ticket"
FIRST_BYTE_AT = "imageclassifier.first_byte_at"
ARRIVED = "imageclassifier.arrived"


class Admission:
    """Counts the requests in flight and the bytes of pictures they hold, against a limit for each."""

    def __init__(self, max_requests: int, max_bytes: int, in_flight: Gauge, held_bytes: Gauge) -> None:
        self._max_requests = max_requests
        self._max_bytes = max_bytes
        self._requests = 0
        self._bytes = 0
        self._slow = SlowRequests(max_requests, max_bytes)
        self._lock = threading.Lock()
        in_flight.set_function(lambda: self.in_flight)
        held_bytes.set_function(lambda: self._bytes)

    @property
    def in_flight(self) -> int:
        """The number of requests that have a place."""
        return self._requests

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
            self._slow.free_places(ticket.slow)
            if ticket.slow_now:
                self._slow.release(ticket.held_bytes)
            ticket.has_place, ticket.held_bytes = False, 0
            ticket.slow.clear()
            ticket.slow_now.clear()

    def become_slow(self, ticket: Ticket, reason: Slow) -> None:
        """Take a place for slow requests for the request of a ticket. Raises Problem if there is none."""
        with self._lock:
            has_place = reason in ticket.slow
            if not has_place:
                self._slow.check(reason)
            if not ticket.slow_now:
                self._slow.hold(ticket.held_bytes, ticket.held_bytes)
            if not has_place:
                self._slow.take_place(reason)
            ticket.slow.add(reason)
            ticket.slow_now.add(reason)

    def end_slow(self, ticket: Ticket, reason: Slow) -> None:
        """Count the bytes of a ticket as those of any other request; its place for slow requests stays."""
        with self._lock:
            if ticket.slow_now == {reason}:
                self._slow.release(ticket.held_bytes)
            ticket.slow_now.discard(reason)

    def check_slow(self, reason: Slow) -> None:
        """Raise Problem if there is no place for one more slow request now."""
        with self._lock:
            self._slow.check(reason)

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
            if ticket.slow_now:
                self._slow.hold(count_bytes, ticket.held_bytes + count_bytes)
            self._bytes += count_bytes
            ticket.held_bytes += count_bytes


@dataclass
class Ticket:
    """One request's place, and the bytes it holds."""

    admission: Admission
    held_bytes: int = 0
    has_place: bool = False
    #: The reasons for which the request has a place for slow requests, until it ends.
    slow: set[Slow] = field(default_factory=set)
    #: Those for which it is slow now, so that its bytes count as those of slow requests.
    slow_now: set[Slow] = field(default_factory=set)

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

    @contextmanager
    def fetching(self) -> Iterator[None]:
        """While the request waits for servers of URLs. Raises Problem when there is no place for it.

        Afterwards the request is as fast as an upload, and its pixels may use the memory of all requests.
        Otherwise large bodies that are still being fetched would have it refused after its own fetch.
        """
        self.become_slow(Slow.URLS)
        try:
            yield
        finally:
            self.admission.end_slow(self, Slow.URLS)

    def hold(self, count_bytes: int) -> None:
        """Reserves `count_bytes` more bytes. Raises Problem when they are not free."""
        self.admission.hold(self, count_bytes)
