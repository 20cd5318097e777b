"""A token bucket: limits how often something may happen, and allows a burst. Pure."""

from __future__ import annotations


class TokenBucket:
    """Holds up to `burst` tokens and gets `rate` new ones each second. It starts full."""

    def __init__(self, rate: float, burst: int, now: float) -> None:
        self.limit = (rate, burst)
        self._tokens = float(burst)
        self._filled_at = now

    def take(self, now: float) -> float:
        """Take a token. Returns 0, or the seconds until there is one if there is none now.

        >>> bucket = TokenBucket(rate=2, burst=1, now=0.0)
        >>> bucket.take(0.0), bucket.take(0.0), bucket.take(0.5)
        (0.0, 0.5, 0.0)
        """
        rate, burst = self.limit
        self._tokens = min(burst, self._tokens + (now - self._filled_at) * rate)
        self._filled_at = now
        if self._tokens >= 1:
            self._tokens -= 1
            return 0.0
        return (1 - self._tokens) / rate
