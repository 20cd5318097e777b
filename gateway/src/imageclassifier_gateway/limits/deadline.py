"""The deadline of a request.

The time counts from the first byte of the request, in `http/connection.py`. `api/exchange.py` creates the
Deadline.
"""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Deadline:
    """The monotonic time, in seconds, at which all steps of a request end."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """The deadline `seconds` from now."""
        return cls(time.monotonic() + seconds)

    def remaining_seconds(self) -> float:
        """The seconds until the deadline; 0 after it."""
        return max(0.0, self.at - time.monotonic())
