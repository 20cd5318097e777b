"""The deadline of a request.

The clock starts with the first byte of the request, in `http/connection.py`. `Deadline.of_request` counts
from that time.
"""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Deadline:
    """The monotonic time, in seconds, at which all steps of a request end."""

    at: float

    @classmethod
    def of_request(cls, first_byte_at: float, seconds: float) -> Deadline:
        """The deadline of a request that may take `seconds` from the monotonic time of its first byte."""
        return cls(first_byte_at + seconds)

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """The deadline `seconds` from now."""
        return cls(time.monotonic() + seconds)

    def remaining_seconds(self) -> float:
        """The seconds until the deadline; 0 after it."""
        return max(0.0, self.at - time.monotonic())

    def socket_timeout(self) -> float:
        """The timeout for an operation of a socket. It is never 0, because that means not to wait at all."""
        return max(0.001, self.remaining_seconds())
