"""The input of guards and actions: goal, state, snapshot and time of one decision."""

from dataclasses import dataclass

from imageclassifier_operator.observe.types import Problem, Snapshot
from imageclassifier_operator.rollout.goal import Goal
from imageclassifier_operator.rollout.state import State


@dataclass(frozen=True)
class RolloutContext:
    """What guards and actions know. `cause` is the problem that the transition's guard returned."""

    goal: Goal
    state: State
    snapshot: Snapshot
    now: float
    cause: Problem | None = None

    @property
    def is_held_up(self) -> bool:
        """The clock is stopped or a write is blocked, so that no deadline counts."""
        return self.state.clock_stopped_since is not None or self.snapshot.blocked is not None

    @property
    def seconds_undisturbed(self) -> float:
        """Seconds since the phase or step began, or since a node last took pods of the version.

        Only time that this process has observed counts. The phase may have begun under another leader, whose
        clock differs from ours.
        """
        seconds = min(self.seconds_in_phase, self.snapshot.observed_seconds)
        disrupted = self.state.disrupted_at
        return seconds if disrupted is None else min(seconds, max(0.0, self.now - disrupted))

    @property
    def seconds_in_phase(self) -> float:
        """Seconds since the phase or step began, without the time for which the clock was stopped."""
        stopped = self.state.clock_stopped_since
        return max(0.0, (self.now if stopped is None else stopped) - self.state.since)
