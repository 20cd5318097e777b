"""Guards of the phase Verify: has the candidate passed its verification, and may it take traffic?"""

from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.types import Problem
from imageclassifier_operator.rollout.context import RolloutContext
from imageclassifier_operator.rollout.guards.pods import (
    fatal_problem,
    is_loaded_and_usable,
    overdue,
    unreachable,
)


def candidate_passed(context: RolloutContext) -> bool:
    """The verdict on the candidate is positive."""
    verdict = context.snapshot.verdict
    return verdict is not None and verdict.conclusive and verdict.passed


def verification_failed(context: RolloutContext) -> Problem | None:
    """The verdict is negative, or there was none before the deadline."""
    verdict = context.snapshot.verdict
    if verdict is not None and verdict.conclusive and not verdict.passed:
        return Problem(verdict.reason, verdict.message)
    if candidate_passed(context):
        return None
    cause = context.snapshot.verification_problem or Problem(Reason.VERIFICATION_FAILED, "")
    deadline = context.goal.rollout.verification_deadline_seconds
    return overdue(context, "The verification had no verdict", cause, deadline)


def candidate_failed_before_traffic(context: RolloutContext) -> Problem | None:
    """The candidate's pods broke, or the gateways could not use it before the deadline."""
    candidate = context.state.candidate
    if candidate is None:
        return None
    if (problem := fatal_problem(context, candidate)) is not None:
        return problem
    if not candidate_passed(context) or is_loaded_and_usable(context, candidate):
        return None
    cause = context.snapshot.problem_of(candidate) or unreachable(context, candidate)
    what = f"Version {candidate.version} passed verification but could not get traffic"
    return overdue(context, what, cause, context.goal.rollout.verification_deadline_seconds)


def is_promoted(context: RolloutContext) -> bool:
    """The promote annotation, or `promoteToken`, has a value that has not taken effect yet."""
    goal, state = context.goal, context.state
    return goal.promote not in ("", state.promoted) or (
        goal.rollout.promote_token not in ("", state.promoted_token)
    )


def may_proceed(context: RolloutContext) -> bool:
    """The rollout is not paused, or the user has promoted it since."""
    return not context.goal.rollout.paused or is_promoted(context)


def candidate_may_take_traffic(context: RolloutContext) -> bool:
    """The candidate passed, all gateways can use it, and the rollout is not paused."""
    candidate = context.state.candidate
    return (
        candidate is not None
        and candidate_passed(context)
        and is_loaded_and_usable(context, candidate)
        and may_proceed(context)
    )


def shadow_is_due(context: RolloutContext) -> bool:
    """The candidate may take traffic, and gets copies of requests first."""
    return candidate_may_take_traffic(context) and context.goal.rollout.shadow is not None


def first_step_is_due(context: RolloutContext) -> bool:
    """The candidate may take traffic, and the spec has steps."""
    return candidate_may_take_traffic(context) and bool(context.goal.steps)
