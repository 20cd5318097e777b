"""The rollout state machine: from goal, state, snapshot and time to the next state. Pure: no I/O, no clock.

`transitions` is the table of transitions; `guards` decide when one may happen, and `actions` what it changes.
`decision` walks the table. `goal` is what the user wants, `traffic_comparison` and `shadow_agreement` compare
the versions.
"""

from imageclassifier_operator.rollout.decision import (
    Decision,
    TakenTransition,
    decide,
    needs_reports,
    unusable_candidate,
)
from imageclassifier_operator.rollout.goal import (
    PROMOTE_ANNOTATION,
    RETRY_ANNOTATION,
    Goal,
    goal_of,
    goal_while_invalid,
)
from imageclassifier_operator.rollout.transitions import TRANSITIONS, Transition

__all__ = [
    "PROMOTE_ANNOTATION",
    "RETRY_ANNOTATION",
    "TRANSITIONS",
    "Decision",
    "Goal",
    "TakenTransition",
    "Transition",
    "decide",
    "goal_of",
    "goal_while_invalid",
    "needs_reports",
    "unusable_candidate",
]
