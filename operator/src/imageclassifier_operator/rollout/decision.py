"""The decision: walks the table of transitions from the present state to the next one. Pure.

tests/operator/rollout/test_random_histories.py checks `decide` in random histories; the invariants are in
tests/operator/support/rollout_invariants.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from imageclassifier_operator.observe.gateway_intervals import ANALYSIS_POLL_SECONDS
from imageclassifier_operator.observe.types import Problem, Snapshot
from imageclassifier_operator.rollout import routing
from imageclassifier_operator.rollout.attempts import with_present_attempts
from imageclassifier_operator.rollout.context import RolloutContext
from imageclassifier_operator.rollout.goal import Goal
from imageclassifier_operator.rollout.guards.goal import something_serves
from imageclassifier_operator.rollout.guards.pods import is_usable, is_warm, number_is_in_use
from imageclassifier_operator.rollout.preparation import with_preparation
from imageclassifier_operator.rollout.state import HistoryEntry, Phase, State
from imageclassifier_operator.rollout.transitions import ROLLED_BACK, TRANSITIONS, Transition


@dataclass(frozen=True)
class TakenTransition:
    """One transition that was taken, for Events and logs. `cause`: why a version failed."""

    name: str
    text: str
    phase: Phase
    version: int | None
    percent: int
    cause: Problem | None = None

    @property
    def message(self) -> str:
        """What happened, and for a failure its reason and cause."""
        if self.cause is None:
            return self.text
        return f"{self.text} {self.cause.reason.value}: {self.cause.message}"


@dataclass(frozen=True)
class Decision:
    """The state to store, and the work that follows from it.

    `verify`: the candidate's verification Job must exist. `delete_others`: the children of versions that
    `state` does not keep may be deleted, since no gateway sends them requests any more. `requeue_seconds`:
    after this time the decision may change without any event.
    """

    state: State
    taken: tuple[TakenTransition, ...] = ()
    verify: bool = False
    delete_others: bool = False
    requeue_seconds: float | None = None


def decide(goal: Goal, state: State, snapshot: Snapshot, now: float) -> Decision:
    """The next state, after as many transitions as hold at this moment.

    Idempotent: a second decision on the result gives the same result, if nothing else changed.
    """
    before, state = _traffic(state), with_present_attempts(goal, state)
    context = RolloutContext(goal, _with_derived_fields(goal, state, snapshot, now), snapshot, now)
    taken: list[TakenTransition] = []
    for _ in range(len(Phase)):  # a walk through every phase; more would be a loop in the table
        found = _next_transition(context)
        if found is None:
            break
        transition, context = found
        after = _apply(transition, context)
        taken.append(_taken(transition, context, after))
        after = _with_history(transition.history_entry, taken[-1], context, after)
        context = replace(context, state=after, cause=None)
        if _traffic(context.state) != before:
            # The gateways' acknowledgements belong to the routing before this transition.
            context = replace(context, snapshot=replace(snapshot, acknowledged_seconds=None))
    result, snapshot = _with_derived_fields(goal, context.state, snapshot, now), context.snapshot
    if _traffic(result) != before:
        result = replace(result, revision=max(result.revision, snapshot.highest_revision) + 1)
        snapshot = replace(snapshot, acknowledged_seconds=None)
    return Decision(
        state=result,
        taken=tuple(taken),
        verify=result.phase is Phase.VERIFY,
        delete_others=_may_delete(result, snapshot, goal),
        requeue_seconds=_requeue_seconds(context, goal),
    )


def needs_reports(state: State, acknowledged: bool) -> bool:
    """Whether `decide` needs reports of the gateways.

    In Load it does for the serving version's counters: they are the baseline when the verification starts.
    """
    in_rollout = state.phase in (Phase.VERIFY, Phase.SHIFT, Phase.SETTLE)
    return not acknowledged or in_rollout or (state.phase is Phase.LOAD and state.serving is not None)


def unusable_candidate(state: State, snapshot: Snapshot) -> int | None:
    """The candidate, if it has traffic that a ready gateway cannot send to it. None while paused."""
    candidate = state.candidate
    if candidate is None or state.phase is not Phase.SHIFT or state.clock_stopped_since is not None:
        return None
    if not snapshot.ready_gateways or is_usable(snapshot, candidate):
        return None
    return candidate.version


def _traffic(state: State) -> Mapping[str, Any] | None:
    """The routing of `state` without its revision. A change of it needs a new revision."""
    return routing.without_revision(routing.routing_file("", "", state))


def _next_transition(context: RolloutContext) -> tuple[Transition, RolloutContext] | None:
    for transition in TRANSITIONS:
        if context.state.phase not in transition.source:
            continue
        if context.goal.only_roll_back and transition.name != ROLLED_BACK:
            continue
        if transition.serving is not None and transition.serving != something_serves(context):
            continue
        answer = transition.guard(context)
        if answer:
            return transition, replace(context, cause=answer if isinstance(answer, Problem) else None)
    return None


def _apply(transition: Transition, context: RolloutContext) -> State:
    state = transition.action(context)
    state = replace(state, phase=context.state.phase if transition.target is None else transition.target)
    if not transition.restarts_clock:
        return state
    # A clock that starts while it is stopped, as after a promotion by hand, starts at zero.
    stopped = None if state.clock_stopped_since is None else context.now
    return replace(state, since=context.now, clock_stopped_since=stopped)


def _taken(transition: Transition, context: RolloutContext, after: State) -> TakenTransition:
    before = context.state
    subject = {
        "candidate": before.candidate or after.candidate or after.serving,
        "serving": before.serving,
        "previous": before.previous,
    }[transition.about]
    version = None if subject is None else subject.version
    return TakenTransition(
        name=transition.name,
        text=transition.message.format(version=version, percent=after.percent),
        phase=after.phase,
        version=version,
        percent=after.percent,
        cause=context.cause,
    )


def _with_history(verdict: str, taken: TakenTransition, context: RolloutContext, after: State) -> State:
    """`after` with a new entry in the history, if the transition ended the rollout of a version."""
    if not verdict or taken.version is None:
        return after
    observed = context.snapshot.versions.get(taken.version)
    entry = HistoryEntry(
        version=taken.version,
        verdict=verdict,
        time=context.now,
        reason="" if taken.cause is None else taken.cause.reason.value,
        model_digest="" if observed is None else observed.model_digest,
    )
    return after.with_history(entry)


def _with_derived_fields(goal: Goal, state: State, snapshot: Snapshot, now: float) -> State:
    """`state` with the fields that follow from the goal and the snapshot alone, in any phase."""
    state = with_preparation(goal, replace(_with_shadow(goal, state), sticky=goal.rollout.sticky), snapshot)
    state = _with_min_replicas(goal, state.until(now))
    state = _with_disruption(_with_unavailability(state, snapshot, now), snapshot)
    return _with_fallback(_with_clock(goal, state, snapshot, now), snapshot)


def _with_shadow(goal: Goal, state: State) -> State:
    """A running shadow follows the spec's share."""
    shadow = goal.rollout.shadow
    return replace(state, shadow_percent=shadow.percent) if shadow and state.shadow_percent else state


def _with_min_replicas(goal: Goal, state: State) -> State:
    """The number of pods may grow while versions share the traffic, and does not shrink."""
    if not state.keeps_replicas:
        return replace(state, min_replicas=0)
    return replace(state, min_replicas=max(state.min_replicas, goal.replicas))


def _with_fallback(state: State, snapshot: Snapshot) -> State:
    """Gateways may fall back to the previous version while it is ready and the new one is under analysis."""
    previous = state.previous
    if previous is None or state.under_analysis is None or not is_warm(snapshot, previous):
        return replace(state, fallback=None)
    return replace(state, fallback=previous.version)


def _with_unavailability(state: State, snapshot: Snapshot, now: float) -> State:
    version = state.under_analysis
    if version is None or snapshot.ready_pods(version.version) > 0:
        return replace(state, unavailable_since=None)
    return state if state.unavailable_since is not None else replace(state, unavailable_since=now)


def _with_disruption(state: State, snapshot: Snapshot) -> State:
    """Remember when a node last took pods of the version that is rolled out: its deadline starts again."""
    version = state.candidate or state.under_analysis
    if version is None:
        return replace(state, disrupted_at=None)
    moments = [state.disrupted_at, snapshot.disrupted_at(version)]
    if state.phase is Phase.VERIFY:
        moments.append(snapshot.verification_disrupted_at)
    return replace(state, disrupted_at=max((m for m in moments if m is not None), default=None))


def _with_clock(goal: Goal, state: State, snapshot: Snapshot, now: float) -> State:
    """Stop the rollout's clock while it cannot or must not advance.

    That is while the user pauses it, while the spec is invalid, while old pods still use the candidate's
    number, and while the version under analysis has no ready pod. The clock of the first version always
    runs, since no other version serves meanwhile.
    """
    candidate = state.candidate
    if state.serving is None or (candidate is None and state.under_analysis is None):
        return replace(state, clock_stopped_since=None)
    stop, since = state.unavailable_since is not None or goal.only_roll_back, state.clock_stopped_since
    if candidate is not None:
        number_is_blocked = state.phase is Phase.LOAD and number_is_in_use(snapshot, candidate)
        stop = stop or goal.rollout.paused or number_is_blocked
    if stop and since is None:
        return replace(state, clock_stopped_since=now)
    if not stop and since is not None:
        return replace(state, since=state.since + now - since, clock_stopped_since=None)
    return state


def _may_delete(state: State, snapshot: Snapshot, goal: Goal) -> bool:
    """All gateways have left the versions that are not kept, and the last request has ended since."""
    if state.serving is None or (state.phase is Phase.STOPPED and not snapshot.gateways):
        return True
    seconds = snapshot.acknowledged_seconds
    return seconds is not None and seconds >= goal.request_timeout_seconds


def _requeue_seconds(context: RolloutContext, goal: Goal) -> float | None:
    state, snapshot = context.state, context.snapshot
    waits: list[float] = []
    is_observable = bool(snapshot.ready_gateways) or state.unavailable_since is not None
    if state.phase in (Phase.SHIFT, Phase.SETTLE) and is_observable:
        waits.append(ANALYSIS_POLL_SECONDS)
    if state.phase is Phase.VERIFY and state.serving is not None:
        waits.append(ANALYSIS_POLL_SECONDS)
    if state.phase in (Phase.LOAD, Phase.VERIFY) and state.clock_stopped_since is None:
        rules, verifies = goal.rollout, state.phase is Phase.VERIFY
        deadline = rules.verification_deadline_seconds if verifies else rules.progress_deadline_seconds
        waits.append(deadline - context.seconds_undisturbed)
    if state.phase in (Phase.LOAD, Phase.RETIRE) and snapshot.acknowledged_seconds is not None:
        waits.append(goal.request_timeout_seconds - snapshot.acknowledged_seconds)
    waits = [wait for wait in waits if wait > 0]
    return min(waits) if waits else None
