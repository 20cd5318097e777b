"""How long a batch pauses, so that the users of the gateway do not notice it. It only remembers times."""

from __future__ import annotations

from collections import deque

#: The requests over which the shortest time is remembered: that of a gateway without other work.
_REMEMBERED = 200
_BUSY = 2.0
_LONGEST_PAUSE_SECONDS = 5.0


class Pace:
    """The pauses of one connection. It yields when responses take longer: then others use the gateway."""

    def __init__(self) -> None:
        self._recent: deque[float] = deque(maxlen=_REMEMBERED)

    def pause_seconds(self, took_seconds: float) -> float:
        """The pause after a request that took this time.

        >>> pace = Pace()
        >>> tuple(round(pace.pause_seconds(took), 2) for took in (0.02, 0.03, 0.1, 60))
        (0, 0, 0.08, 5.0)
        """
        self._recent.append(took_seconds)
        quickest = min(self._recent)
        if took_seconds <= _BUSY * quickest:
            return 0
        return min(took_seconds - quickest, _LONGEST_PAUSE_SECONDS)
