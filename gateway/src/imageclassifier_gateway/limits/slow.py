"""Limits the slow requests, and the bytes that they hold, so that enough is left for all others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Set as AbstractSet
from enum import Enum

from ..problems import Problem


class Slow(Enum):
    """Why a request may hold its place and its bytes for long, and the share of the places for such requests.

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


#: The share of the bytes that requests may hold together while they are slow: they hold them for long.
_SLOW_BYTES_SHARE = 0.5
#: The share of these bytes that is left for slow requests that hold little, in equal parts for all places.
#: Otherwise a few large bodies would have small pictures behind URLs refused.
_SMALL_SHARE = 0.25


class SlowRequests:
    """The places of slow requests, and the bytes that they hold. Not thread-safe: Admission locks it."""

    def __init__(self, max_requests: int, max_bytes: int) -> None:
        self._max_requests = max_requests
        self._places = Counter[Slow]()
        self._bytes = 0
        self._limit = _SLOW_BYTES_SHARE * max_bytes
        self._small_bytes = _SMALL_SHARE * self._limit / sum(reason.most_of(max_requests) for reason in Slow)

    def check(self, reason: Slow) -> None:
        """Raise Problem if there is no place for one more request."""
        if self._places[reason] >= reason.most_of(self._max_requests):
            raise Problem("overloaded", reason.refusal)

    def take_place(self, reason: Slow) -> None:
        """Count one more request."""
        self._places[reason] += 1

    def free_places(self, reasons: AbstractSet[Slow]) -> None:
        """Count one request less for each reason."""
        self._places.subtract(reasons)

    def hold(self, count_bytes: int, held_bytes: int) -> None:
        """Count more bytes; one of the requests then holds `held_bytes`.

        Raises Problem if the requests would hold too many bytes together. One alone may.
        """
        together_bytes = self._bytes + count_bytes
        is_small = held_bytes <= self._small_bytes
        limit = self._limit if is_small else (1 - _SMALL_SHARE) * self._limit
        if together_bytes > held_bytes and together_bytes > limit:
            raise Problem(
                "overloaded",
                "Requests with URLs and with large pictures hold too much memory already. Retry soon.",
            )
        self._bytes += count_bytes

    def release(self, count_bytes: int) -> None:
        """Count fewer bytes."""
        self._bytes -= count_bytes
