"""The actions: how a transition changes the state. `decision` sets the phase and its clock."""

from dataclasses import replace
from typing import Any

from imageclassifier_operator.rollout import figures
from imageclassifier_operator.rollout.context import RolloutContext
from imageclassifier_operator.rollout.reference import Reference
from imageclassifier_operator.rollout.state import FailedVersion, State


def start_rollout(context: RolloutContext) -> State:
    """Make the wanted version the candidate. A previous version that was kept warm is released."""
    return replace(
        _without_candidate(context.state),
        candidate=context.goal.wanted,
        attempt=context.goal.attempt,
        previous=None,
        promoted=context.goal.promote,
        promoted_token=context.goal.rollout.promote_token,
    )


def abort(context: RolloutContext) -> State:
    """Drop the candidate, which is not wanted any more, without recording a failure."""
    return _without_candidate(context.state)


def stop(context: RolloutContext) -> State:
    """Keep only the serving version. The candidate is dropped without recording a failure."""
    return replace(_without_candidate(context.state), previous=None, unavailable_since=None)


def roll_back_candidate(context: RolloutContext) -> State:
    """Drop the candidate and record why it failed."""
    assert context.state.candidate is not None
    return _without_candidate(_with_failure(context, context.state.candidate.version))


def roll_back(context: RolloutContext) -> State:
    """Return all traffic to the previous version, and record why the serving version failed."""
    assert context.state.serving is not None
    state = _with_failure(context, context.state.serving.version)
    return replace(state, serving=state.previous, previous=None, attempt="", **_NO_WINDOW)


def return_to_previous(context: RolloutContext) -> State:
    """Swap the serving and the previous version, as the user wants.

    The previous version is not analysed again, since it has served before.
    """
    state = context.state
    return replace(
        state,
        serving=state.previous,
        previous=state.serving,
        attempt="",
        baseline=_reading(context),
        reference=Reference(),
    )


def adopt_new_rules(context: RolloutContext) -> State:
    """Continue the rollout under the goal's rules."""
    return replace(context.state, attempt=context.goal.attempt)


def update_in_place(context: RolloutContext) -> State:
    """Change the settings of the serving version. If it is under analysis, its attempt changes with them."""
    attempt = context.goal.attempt if context.state.attempt else ""
    return replace(context.state, serving=context.goal.wanted, attempt=attempt, unavailable_since=None)


def keep_state(context: RolloutContext) -> State:
    """Change only the phase."""
    return context.state


def start_verification(context: RolloutContext) -> State:
    """Start to count the serving version's requests, to compare the candidate with them."""
    return replace(context.state, baseline=_reading(context), reference=Reference())


def start_shadow(context: RolloutContext) -> State:
    """Send the candidate copies of requests."""
    shadow = context.goal.rollout.shadow
    assert shadow is not None
    return replace(context.state, percent=0, shadow_percent=shadow.percent, **_new_window(context))


def start_next_step(context: RolloutContext) -> State:
    """Give the candidate the share of the next step."""
    percent = context.goal.next_percent(context.state.percent)
    return replace(context.state, percent=percent, shadow_percent=0, **_new_window(context))


def promote_first(context: RolloutContext) -> State:
    """Give all traffic to the first version ever. There is no previous one to keep warm."""
    return replace(_without_candidate(context.state), serving=context.state.candidate)


def promote(context: RolloutContext) -> State:
    """Give all traffic to the candidate. The previous version stays warm, so one write can roll back."""
    state, window = context.state, _new_window(context)
    if state.serving is not None:
        since_start = figures.window(state.serving.version, {}, context.snapshot.reports)
        window["reference"] = window["reference"].with_older(since_start)
    return replace(
        _without_candidate(state),
        serving=state.candidate,
        attempt=state.attempt,
        previous=state.serving,
        **window,
    )


def release_previous(context: RolloutContext) -> State:
    """Stop keeping the previous version warm."""
    return replace(context.state, previous=None, attempt="", **_NO_WINDOW)


def _without_candidate(state: State) -> State:
    return replace(
        state,
        candidate=None,
        attempt="",
        percent=0,
        shadow_percent=0,
        clock_stopped_since=None,
        **_NO_WINDOW,
    )


def _with_failure(context: RolloutContext, version: int) -> State:
    assert context.cause is not None
    return context.state.with_failed(
        FailedVersion(
            version=version,
            attempt=context.state.attempt,
            reason=context.cause.reason.value,
            message=context.cause.message,
            time=context.now,
        )
    )


_NO_WINDOW: dict[str, Any] = {"baseline": {}, "reference": Reference()}


def _reading(context: RolloutContext) -> dict[str, Any]:
    return figures.baseline(context.snapshot.reports)


def _new_window(context: RolloutContext) -> dict[str, Any]:
    """Start a new analysis window, and use up the promotion that led to it.

    What the serving version did in the window that ends is added to the reference.
    """
    state, reports = context.state, context.snapshot.reports
    reference = state.reference
    if state.serving is not None:
        reference = reference.with_recent(figures.window(state.serving.version, state.baseline, reports))
    return {
        "baseline": _reading(context),
        "reference": reference,
        "promoted": context.goal.promote or state.promoted,
        "promoted_token": context.goal.rollout.promote_token or state.promoted_token,
    }
