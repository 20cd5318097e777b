"""The analysis of the version that is under analysis now, from goal, state and snapshot. Pure."""

from dataclasses import replace

from imageclassifier_operator.api import ModelVersion
from imageclassifier_operator.observe.types import Snapshot
from imageclassifier_operator.rollout import figures
from imageclassifier_operator.rollout.goal import Goal
from imageclassifier_operator.rollout.reference import Reference
from imageclassifier_operator.rollout.shadow_agreement import Agreement
from imageclassifier_operator.rollout.state import Phase, State
from imageclassifier_operator.rollout.traffic_comparison import Comparison


def of(goal: Goal, state: State, snapshot: Snapshot) -> Agreement | Comparison | None:
    """Of a shadow the agreement, else the comparison; None while no version is under analysis."""
    return agreement(goal, state, snapshot) or comparison(goal, state, snapshot)


def agreement(goal: Goal, state: State, snapshot: Snapshot) -> Agreement | None:
    """That of the candidate with the serving version; None without a shadow."""
    shadow = goal.rollout.shadow
    if (
        state.phase is not Phase.SHIFT
        or state.candidate is None
        or shadow is None
        or not state.shadow_percent
    ):
        return None
    version = state.candidate.version
    window = figures.shadow_window(version, state.baseline, snapshot.reports)
    return Agreement(version, window, shadow)


def comparison(goal: Goal, state: State, snapshot: Snapshot) -> Comparison | None:
    """The figures of the version under analysis beside the serving version's; None if there is none."""
    version = state.under_analysis
    if version is None or state.serving is None or state.shadow_percent:
        return None
    window = figures.window(version.version, state.baseline, snapshot.reports)
    if state.phase is Phase.SHIFT:
        serving = figures.window(state.serving.version, state.baseline, snapshot.reports)
        reference = Reference(recent=serving, concurrent=True)
        return Comparison(version.version, window, state.serving.version, reference, goal.rollout)
    if state.previous is None:
        return None
    window = _without_shared_failures(window, state.previous, state, snapshot)
    return Comparison(version.version, window, state.previous.version, state.reference, goal.rollout)


def _without_shared_failures(
    window: figures.Window, previous: ModelVersion, state: State, snapshot: Snapshot
) -> figures.Window:
    """The window without the failures that the previous version shares.

    In Settle the previous version gets only requests that the new one failed to answer. Where it fails too,
    the request or the cluster is the cause.
    """
    shared = figures.window(previous.version, state.baseline, snapshot.reports).errors
    return replace(window, errors=max(0, window.errors - shared))
