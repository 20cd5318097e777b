"""Guards of the phase Shift, the canary: does the candidate fail under traffic, and is its step complete?"""

from imageclassifier_operator.api.rollout import CONTINUE
from imageclassifier_operator.observe.types import Problem
from imageclassifier_operator.rollout import current_analysis
from imageclassifier_operator.rollout.context import RolloutContext
from imageclassifier_operator.rollout.guards.pods import (
    fatal_problem,
    is_usable,
    unavailable_too_long,
    unreachable_too_long,
)
from imageclassifier_operator.rollout.guards.verify import is_promoted
from imageclassifier_operator.rollout.shadow_agreement import Agreement
from imageclassifier_operator.rollout.traffic_comparison import Comparison, Outcome


def candidate_fails_under_traffic(context: RolloutContext) -> Problem | None:
    """The candidate's pods failed, or its figures violate the limits."""
    candidate, serving = context.state.candidate, context.state.serving
    if candidate is None or serving is None:
        return None
    problem = (
        fatal_problem(context, candidate)
        or unavailable_too_long(context)
        or unreachable_too_long(context, candidate)
    )
    if problem is not None:
        return problem
    found = _analysis(context)
    return None if found is None else found.problem


def _analysis(context: RolloutContext) -> Agreement | Comparison | None:
    return current_analysis.of(context.goal, context.state, context.snapshot)


def step_is_complete(context: RolloutContext) -> bool:
    """The analysis passed and the step has lasted long enough, or the user promotes the candidate.

    A user who promotes by hand has decided that it was long enough.
    """
    if not _may_change_share(context):
        return False
    if is_promoted(context):
        return True
    if context.goal.rollout.paused:
        return False
    if not context.state.shadow_percent and context.goal.step(context.state.percent) is None:
        return True  # the spec has no steps any more
    found = _analysis(context)
    return _has_lasted(context) and (found is None or found.outcome is Outcome.PASSED)


def _may_end_while_inconclusive(context: RolloutContext) -> bool:
    rollout = context.goal.rollout
    if rollout.paused or rollout.on_inconclusive != CONTINUE or not _may_change_share(context):
        return False
    found = _analysis(context)
    enough = not isinstance(found, Agreement) or found.figures.compared >= found.rules.min_compared
    return enough and _has_lasted(context)


def _may_change_share(context: RolloutContext) -> bool:
    candidate = context.state.candidate
    return candidate is not None and is_usable(context.snapshot, candidate)


def _has_lasted(context: RolloutContext) -> bool:
    """The step's duration is over. A shadow has none."""
    step = None if context.state.shadow_percent else context.goal.step(context.state.percent)
    return step is None or context.seconds_in_phase >= step.duration_seconds


def next_step_is_due(context: RolloutContext) -> bool:
    """The step is complete, and it was not the last."""
    return step_is_complete(context) and context.goal.next_percent(context.state.percent) < 100


def last_step_is_complete(context: RolloutContext) -> bool:
    """The step is complete, and it was the last."""
    return step_is_complete(context) and context.goal.next_percent(context.state.percent) == 100


def next_step_is_due_while_inconclusive(context: RolloutContext) -> bool:
    """The step's time is over, `onInconclusive` allows to continue, and another step follows."""
    return _may_end_while_inconclusive(context) and context.goal.next_percent(context.state.percent) < 100


def last_step_is_over_while_inconclusive(context: RolloutContext) -> bool:
    """The step's time is over, `onInconclusive` allows to continue, and no other step follows."""
    return _may_end_while_inconclusive(context) and context.goal.next_percent(context.state.percent) == 100
