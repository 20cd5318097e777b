"""The moment by which a request must be answered.

The clock starts at the first byte of the request, in `http/connection.py`. `api/exchange.py` makes the
Deadline.
"""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Deadline:
    """A point in monotonic time, in seconds, that all steps of a request share."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """The deadline in so many seconds."""
        return cls(time.monotonic() + seconds)

    def remaining_seconds(self) -> float:
        """What is left; never negative."""
        return max(0.0, self.at - time.monotonic())
