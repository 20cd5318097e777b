"""Attempts that an earlier release has hashed in another way. Pure.

This release cannot tell whether such an attempt is the one that the spec asks for. It takes the spec that it
finds after the upgrade for unchanged: a version that failed is not retried, and a rollout continues. The user
can still retry the version, with its annotation or token.
"""

from dataclasses import replace

from imageclassifier_operator.rollout.goal import Goal
from imageclassifier_operator.rollout.state import FailedVersion, State


def with_present_attempts(goal: Goal, state: State) -> State:
    """The state with the attempt of the goal in place of the earlier hash of it."""
    if not state.earlier_attempts or goal.only_roll_back or goal.refused is not None:
        return state
    version = state.candidate or state.under_analysis
    in_rollout = version is not None and version.input_hash == goal.wanted.input_hash
    return replace(
        state,
        attempt=goal.attempt if in_rollout else state.attempt,
        failed=state.failed if goal.wanted.version in state.kept else _failed(goal, state.failed),
        earlier_attempts=False,
    )


def _failed(goal: Goal, failed: tuple[FailedVersion, ...]) -> tuple[FailedVersion, ...]:
    """`failed`, in which the last failure of the wanted version has the attempt of the goal."""
    last = max(
        (index for index, each in enumerate(failed) if each.version == goal.wanted.version), default=None
    )
    return tuple(
        replace(each, attempt=goal.attempt) if index == last else each for index, each in enumerate(failed)
    )
