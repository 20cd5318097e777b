"""Guards of the phase Shift: does the candidate fail under traffic, and is its step complete?"""

from imageclassifier_operator.api import ModelVersion
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.types import Problem
from imageclassifier_operator.rollout import analysis
from imageclassifier_operator.rollout.context import RolloutContext
from imageclassifier_operator.rollout.guards.pods import (
    fatal_problem,
    is_usable,
    unavailable_too_long,
    unreachable_too_long,
)
from imageclassifier_operator.rollout.guards.verify import may_proceed


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
    rollout, since, reports = context.goal.rollout, context.state.baseline, context.snapshot.reports
    if context.state.shadow_percent:
        return _disagreement(context, candidate)
    return analysis.limit_violation(
        candidate.version,
        analysis.window(candidate.version, since, reports),
        analysis.window(serving.version, since, reports),
        rollout.limits,
        rollout.min_requests,
    )


def _disagreement(context: RolloutContext, candidate: ModelVersion) -> Problem | None:
    """In shadow the candidate agreed with the serving version too rarely."""
    shadow = context.goal.rollout.shadow
    if shadow is None or shadow.min_agreement is None:
        return None
    window = analysis.shadow_window(candidate.version, context.state.baseline, context.snapshot.reports)
    enough = window.compared >= max(1, shadow.min_compared)
    if not enough or window.agreed >= shadow.min_agreement * window.compared:
        return None
    most = ""
    if window.confusion:
        serving_class, candidate_class, _ = window.confusion[0]
        most = f" The most frequent difference is {candidate_class} instead of {serving_class}."
    return Problem(
        Reason.DISAGREES,
        f"Version {candidate.version} agreed with the serving version on {window.agreed} of "
        f"{window.compared} "
        f"requests; spec.rollout.shadow.minAgreement requires {shadow.min_agreement:g}.{most}",
    )


def step_is_complete(context: RolloutContext) -> bool:
    """The step has lasted long enough and had enough requests, and all gateways can use the candidate."""
    candidate, state, rollout = context.state.candidate, context.state, context.goal.rollout
    if candidate is None or not may_proceed(context) or not is_usable(context.snapshot, candidate):
        return False
    reports = context.snapshot.reports
    if state.shadow_percent:
        compared = analysis.shadow_window(candidate.version, state.baseline, reports).compared
        return rollout.shadow is None or compared >= rollout.shadow.min_compared
    step = context.goal.step(state.percent)
    if step is None:
        return True  # the spec has no steps any more
    requests = analysis.window(candidate.version, state.baseline, reports).requests
    # The clock stops while the rollout is paused, and a user who promotes it decides that it was long enough.
    long_enough = rollout.pause or context.seconds_in_phase >= step.duration_seconds
    return long_enough and requests >= rollout.min_requests


def next_step_is_due(context: RolloutContext) -> bool:
    """The step is complete, and it was not the last."""
    return step_is_complete(context) and context.goal.next_percent(context.state.percent) < 100


def last_step_is_complete(context: RolloutContext) -> bool:
    """The step is complete, and it was the last."""
    return step_is_complete(context) and context.goal.next_percent(context.state.percent) == 100
