"""What to do next, decided from plain values: the goal, the state, what is seen, and the time.

`machine` holds the table of transitions (data, from which docs/rollouts.md draws its diagram), `guards`
says when one may happen, `actions` what it changes, `goal` what is wanted. Nothing here does I/O or reads a
clock.
"""

from imageclassifier_operator.decide.goal import PROMOTE_ANNOTATION, RETRY_ANNOTATION, Goal, goal_of
from imageclassifier_operator.decide.machine import (
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
