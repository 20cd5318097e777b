"""What the version under analysis is compared with: the serving version's figures. Pure.

During Shift both versions get requests at the same time, so the figures of the same window are compared. In
Settle the previous version gets none any more: its figures of before are the reference. The recent ones were
counted since the rollout began. The older ones were counted before, and are used as long as the recent ones
do not contradict them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from imageclassifier_operator.rollout.figures import Window
from imageclassifier_operator.rollout.likelihoods import Counts
from imageclassifier_operator.rollout.sequential import against_not_above, against_not_below, rejects

MOST_FORMER_REQUESTS = 10_000
"""A reference of more requests counts as if it had this many: a rate changes in the course of time, so old
figures must not pretend to be exact.
"""


@dataclass(frozen=True)
class Reference:
    """The serving version's figures. `concurrent`: from the same window as those they are compared with."""

    recent: Window = field(default_factory=Window)
    older: Window = field(default_factory=Window)
    concurrent: bool = False

    @property
    def failures(self) -> Counts:
        """Requests and failed requests."""
        return self._pooled(self.recent.failures, self.older.failures)

    def slower_than(self, milliseconds: int) -> Counts:
        """Requests, and those that took longer than this time."""
        return self._pooled(self.recent.slower_than(milliseconds), self.older.slower_than(milliseconds))

    def with_recent(self, window: Window) -> Reference:
        """This reference with another window of the rollout."""
        return replace(self, recent=self.recent + window)

    def with_older(self, since_start: Window) -> Reference:
        """`since_start`: all that the gateways counted of this version since they started."""
        return replace(self, older=since_start - self.recent)

    def to_json(self) -> dict[str, Any]:
        """The form in which the state stores a reference."""
        return {"recent": self.recent.to_json(), "older": self.older.to_json()}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Reference:
        """The inverse of `to_json`."""
        return cls(Window.from_json(document["recent"]), Window.from_json(document["older"]))

    def _pooled(self, recent: Counts, older: Counts) -> Counts:
        if self.concurrent:
            return recent
        recent = recent.discounted(MOST_FORMER_REQUESTS)
        left = MOST_FORMER_REQUESTS - recent.trials
        if not older.trials or left <= 0:
            return recent
        older = older.discounted(left)
        worse, better = against_not_above(recent, older, 0.0), against_not_below(recent, older, 0.0)
        return recent if rejects(max(worse, better), CONTRADICTION) else recent + older


CONTRADICTION = 0.05
"""The probability with which older figures are left out although the rate has not changed."""
