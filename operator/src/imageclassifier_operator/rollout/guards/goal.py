"""Guards on changes of the spec: another version, the previous one, other rules, other settings, stopped."""

from imageclassifier_operator.rollout.context import RolloutContext
from imageclassifier_operator.rollout.guards.pods import is_warm
from imageclassifier_operator.rollout.state import Phase


def something_serves(context: RolloutContext) -> bool:
    """A version serves."""
    return context.state.serving is not None


def stop_is_wanted(context: RolloutContext) -> bool:
    """`spec.stopped` is true."""
    return context.goal.stopped


def start_is_wanted(context: RolloutContext) -> bool:
    """`spec.stopped` is not true any more."""
    return not context.goal.stopped


def another_version_is_wanted(context: RolloutContext) -> bool:
    """The spec asks for a version other than the serving one, and this attempt at it has not failed."""
    state, wanted = context.state, context.goal.wanted
    if state.serving is not None and state.serving.version == wanted.version:
        return False
    return not state.has_failed(context.goal.attempt)


def new_rollout_may_start(context: RolloutContext) -> bool:
    """The spec asks for another version, and no pods of a failed attempt at it are left.

    A second attempt would take over such pods, and fail at once.
    """
    wanted, state = context.goal.wanted, context.state
    pods_are_left = wanted.version not in state.kept and context.snapshot.is_deployed(wanted)
    failed_before = any(each.version == wanted.version for each in state.failed)
    removing = pods_are_left and failed_before and state.phase is Phase.RETIRE
    return another_version_is_wanted(context) and not removing


def candidate_is_replaced(context: RolloutContext) -> bool:
    """The spec asks for a version that is neither the candidate nor the serving version."""
    candidate = context.state.candidate
    return (
        candidate is not None
        and candidate.input_hash != context.goal.wanted.input_hash
        and another_version_is_wanted(context)
    )


def candidate_is_unwanted(context: RolloutContext) -> bool:
    """The spec asks for the serving version again, or for a version that has failed under these rules."""
    candidate, goal = context.state.candidate, context.goal
    return candidate is not None and (
        candidate.input_hash != goal.wanted.input_hash or context.state.has_failed(goal.attempt)
    )


def rules_changed(context: RolloutContext) -> bool:
    """The rules of the rollout or the retry annotation changed, but not the version in the rollout."""
    state = context.state
    version = state.candidate or state.under_analysis
    return (
        version is not None
        and version.input_hash == context.goal.wanted.input_hash
        and state.attempt != context.goal.attempt
    )


def settings_changed_in_place(context: RolloutContext) -> bool:
    """The spec changes settings of the serving version but not its model. Its pods are replaced."""
    serving, wanted = context.state.serving, context.goal.wanted
    return (
        serving is not None
        and serving.version == wanted.version
        and serving.input_hash != wanted.input_hash
        and serving.source_hash == wanted.source_hash
    )


def previous_is_wanted_and_warm(context: RolloutContext) -> bool:
    """The spec asks for the previous version again, and that version still has ready pods.

    Every gateway is connected to it already, since the routing file lists it with 0 percent.
    """
    previous = context.state.previous
    if previous is None or previous.input_hash != context.goal.wanted.input_hash:
        return False
    return is_warm(context.snapshot, previous)
