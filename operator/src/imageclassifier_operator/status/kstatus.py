"""Stalled and Reconciling: with them kstatus (Flux, Config Sync) knows when an apply has failed. Pure.

kstatus takes an object that is not Ready for one in progress, unless Stalled says that waiting does not help.
Both conditions are "abnormal-true": they exist only while they are True, and never at the same time.
https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md
"""

from dataclasses import dataclass

from imageclassifier_operator.observe.types import Problem, Snapshot
from imageclassifier_operator.rollout import Goal
from imageclassifier_operator.rollout.context import RolloutContext
from imageclassifier_operator.rollout.guards.pods import overdue
from imageclassifier_operator.rollout.state import Phase, State
from imageclassifier_operator.status.phase_table import Condition
from imageclassifier_operator.status.progressing import failure_of

KSTATUS_CONDITIONS = ("Reconciling", "Stalled")


@dataclass(frozen=True)
class NotReady:
    """Why the condition Ready is False, and what prevents the operator from acting, at the time `now`."""

    ready: Condition
    blocked: Problem | None
    now: float


def kstatus_conditions(
    goal: Goal | None, state: State, snapshot: Snapshot, why: NotReady
) -> tuple[Condition, ...]:
    """Stalled or Reconciling while Ready is False, otherwise neither."""
    if why.ready.holds is not False:
        return ()
    problem = why.blocked or _stalled(goal, state, snapshot, why)
    if problem is None and state.phase is Phase.STOPPED:
        return ()  # nothing is going on, and nothing is wrong
    if problem is not None:
        return (Condition("Stalled", True, problem.reason, problem.message),)
    return (Condition("Reconciling", True, why.ready.reason, why.ready.message),)


def _stalled(goal: Goal | None, state: State, snapshot: Snapshot, why: NotReady) -> Problem | None:
    """What keeps the spec from its goal until the user changes something."""
    if goal is None:
        return None
    if goal.refused is not None:
        return goal.refused
    if state.phase is Phase.STOPPED:
        return None
    failed, version = failure_of(goal, state), state.serving or state.candidate
    if failed is not None and state.candidate is None:
        return failed
    if version is None or (state.serving is not None and (state.candidate or state.under_analysis)):
        return None  # a rollout beside a serving version fails by itself
    problem = snapshot.problem_of(version)
    if problem is not None and problem.fatal:
        return problem
    if state.serving is not None:
        return None
    cause = Problem(why.ready.reason, why.ready.message)
    context = RolloutContext(goal, state, snapshot, why.now)
    return overdue(context, f"Version {version.version} did not begin to serve", cause)
