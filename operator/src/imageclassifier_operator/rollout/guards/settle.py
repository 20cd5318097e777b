"""Guards of the phases Settle and Retire: does the new version fail, and may the others be removed?"""

from imageclassifier_operator.observe.types import Problem
from imageclassifier_operator.rollout import current_analysis
from imageclassifier_operator.rollout.context import RolloutContext
from imageclassifier_operator.rollout.guards.pods import fatal_problem, is_warm, unavailable_too_long


def serving_version_fails(context: RolloutContext) -> Problem | None:
    """The promoted version fails, and the previous one is still warm.

    A version to which the user returned is not analysed: traffic would swing back and forth.
    """
    serving, previous = context.state.serving, context.state.previous
    if serving is None or previous is None or not is_warm(context.snapshot, previous):
        return None
    if context.state.under_analysis is None:
        return None
    if (problem := fatal_problem(context, serving) or unavailable_too_long(context)) is not None:
        return problem
    comparison = current_analysis.comparison(context.goal, context.state, context.snapshot)
    return None if comparison is None else comparison.problem


def keep_previous_time_is_over(context: RolloutContext) -> bool:
    """The previous version was kept long enough, and the new one is healthy."""
    return (
        context.seconds_in_phase >= context.goal.rollout.keep_previous_seconds
        and context.snapshot.acknowledged_seconds is not None
        and context.state.unavailable_since is None
    )


def only_kept_versions_exist(context: RolloutContext) -> bool:
    """No Deployment of another version is left."""
    return set(context.snapshot.versions) <= set(context.state.kept)
