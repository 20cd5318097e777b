"""The rollout state machine: from goal, state, observations and time to the next state. Pure: no I/O.

`transitions` holds the table of transitions (data, from which docs/rollouts.md draws its diagram), `guards`
says when one may happen, `actions` what it changes, `goal` what is wanted.
"""

from imageclassifier_operator.rollout.goal import PROMOTE_ANNOTATION, RETRY_ANNOTATION, Goal, goal_of
from imageclassifier_operator.rollout.transitions import (
    TRANSITIONS,
    Decision,
    Happened,
    Transition,
    decide,
    needs_reports,
    unusable_candidate,
)

__all__ = [
    "PROMOTE_ANNOTATION",
    "RETRY_ANNOTATION",
    "TRANSITIONS",
    "Decision",
    "Goal",
    "Happened",
    "Transition",
    "decide",
    "goal_of",
    "needs_reports",
    "unusable_candidate",
]
