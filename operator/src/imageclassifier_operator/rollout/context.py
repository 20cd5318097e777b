"""One moment of one ImageClassifier, as guards and actions look at it."""

from dataclasses import dataclass

from imageclassifier_operator.observe.types import Observed, Problem
from imageclassifier_operator.rollout.goal import Goal
from imageclassifier_operator.rollout.state import State


@dataclass(frozen=True)
class Scene:
    """`blame` is set by the guard of a failing transition: why the version is taken back."""

    goal: Goal
    state: State
    seen: Observed
    now: float
    blame: Problem | None = None

    @property
    def is_held_up(self) -> bool:
        """Whether the user, or what keeps us from writing, holds the rollout up: no deadline counts then."""
        return self.state.stopped_since is not None or self.seen.blocked is not None

    @property
    def seconds_in_phase(self) -> float:
        """Since the phase or step began; while the rollout is paused this clock stands still."""
        until = self.now if self.state.stopped_since is None else self.state.stopped_since
        return max(0.0, until - self.state.since)
