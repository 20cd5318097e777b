"""The rollout as a state machine: a table of transitions, and the function that walks it.

The first transition of the present phase whose guard holds is taken, then the table is looked at again,
until none holds. docs/rollouts.md draws its diagram from this table, and
tests/operator/rollout/test_random_histories.py checks the invariants against random histories.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from imageclassifier_operator.observe.types import Observed, Problem
from imageclassifier_operator.rollout import actions, guards, routing
from imageclassifier_operator.rollout.context import Scene
from imageclassifier_operator.rollout.goal import Goal
from imageclassifier_operator.rollout.state import Phase, State

Guard = Callable[[Scene], "bool | Problem | None"]
Action = Callable[[Scene], State]

PENDING, LOAD, VERIFY, SHIFT = Phase.PENDING, Phase.LOAD, Phase.VERIFY, Phase.SHIFT
SETTLE, RETIRE, STABLE = Phase.SETTLE, Phase.RETIRE, Phase.STABLE


@dataclass(frozen=True)
class Transition:
    """From any phase of `source`, when `guard` holds, to `target` (None: the phase stays), changing what
    `action` says.

    `name` is the word of the Event that users see, `meaning` the sentence of the docs. `restarts_clock`:
    the phase, or the step of it, begins anew.
    """

    name: str
    source: tuple[Phase, ...]
    guard: Guard
    target: Phase | None
    action: Action
    meaning: str
    restarts_clock: bool = True
    serving: bool | None = None
    """Only when something serves (True), or nothing does (False)."""


TRIAL = (LOAD, VERIFY, SHIFT)
REST = (PENDING, STABLE, RETIRE)

TRANSITIONS: tuple[Transition, ...] = (
    # The user changes their mind.
    Transition(
        "CandidateReplaced", TRIAL, guards.candidate_is_replaced, LOAD, actions.begin,
        "Another version is asked for in mid-rollout: it becomes the candidate.",
    ),
    Transition(
        "RolloutAbandoned", TRIAL, guards.candidate_is_unwanted, RETIRE, actions.abandon,
        "The serving version is asked for again in mid-rollout.", serving=True,
    ),
    Transition(
        "RolloutAbandoned", TRIAL, guards.candidate_is_unwanted, PENDING, actions.abandon,
        "A version that has failed is asked for again, and none serves.", serving=False,
    ),
    Transition(
        "RulesChanged", (VERIFY,), guards.rules_changed, None, actions.judge_by_new_rules,
        "The acceptance rules changed: the candidate is verified again.",
    ),
    Transition(
        "RulesChanged", (LOAD, SHIFT, SETTLE), guards.rules_changed, None, actions.judge_by_new_rules,
        "The rollout's rules changed: the version on trial goes on under the new ones.", restarts_clock=False,
    ),
    Transition(
        "SettingsChanged", tuple(Phase), guards.settings_changed_in_place, None, actions.update_in_place,
        "The serving version's settings changed: its pods are replaced one by one.", restarts_clock=False,
    ),
    Transition(
        "WentBack", (SETTLE,), guards.previous_is_wanted_and_warm, SETTLE, actions.go_back,
        "The version before is asked for again while it is still warm.",
    ),
    # A version is bad.
    Transition(
        "RolledBack", (SETTLE,), guards.new_version_fails, RETIRE, actions.take_back,
        "The new version fails while the one before is still warm: all requests go back.",
    ),
    Transition(
        "RolledBack", (SHIFT,), guards.candidate_fails_under_traffic, RETIRE, actions.fail,
        "The candidate fails under its share of the requests: its share goes back.",
    ),
    Transition(
        "CandidateRefused", (VERIFY,), guards.candidate_was_refused, RETIRE, actions.fail,
        "The candidate did not pass its verification.", serving=True,
    ),
    Transition(
        "CandidateRefused", (VERIFY,), guards.candidate_was_refused, PENDING, actions.fail,
        "The first version did not pass its verification: nothing serves.", serving=False,
    ),
    Transition(
        "CandidateFailed", (VERIFY,), guards.candidate_broke_before_traffic, RETIRE, actions.fail,
        "The candidate broke while it was verified.", serving=True,
    ),
    Transition(
        "CandidateFailed", (LOAD,), guards.candidate_cannot_load, RETIRE, actions.fail,
        "The candidate cannot be loaded, or not in time.", serving=True,
    ),
    # A version goes forward.
    Transition(
        "RolloutStarted", (PENDING, STABLE, RETIRE, SETTLE), guards.another_may_begin, LOAD, actions.begin,
        "A version is asked for that does not serve: it is brought up.",
    ),
    Transition(
        "CandidateLoaded", (LOAD,), guards.candidate_is_loaded, VERIFY, actions.stay,
        "All pods of the candidate have loaded the model.",
    ),
    Transition(
        "FirstVersionServes", (VERIFY,), guards.candidate_passed, STABLE, actions.take_first,
        "The first version passed its verification.", serving=False,
    ),
    Transition(
        "ShadowStarted", (VERIFY,), guards.shadow_comes_first, SHIFT, actions.open_shadow,
        "The candidate passed; it answers copies of requests first.", serving=True,
    ),
    Transition(
        "ShareChanged", (VERIFY,), guards.first_step_is_due, SHIFT, actions.open_next_step,
        "The candidate passed; it gets the first step's share.", serving=True,
    ),
    Transition(
        "TookOver", (VERIFY,), guards.is_passed_and_listening, SETTLE, actions.take_over,
        "The candidate passed, and there are no steps: it gets all requests.", serving=True,
    ),
    Transition(
        "ShareChanged", (SHIFT,), guards.next_step_is_due, SHIFT, actions.open_next_step,
        "The step is over: the candidate gets the next one's share.",
    ),
    Transition(
        "TookOver", (SHIFT,), guards.last_step_is_over, SETTLE, actions.take_over,
        "The last step is over: the candidate gets all requests.",
    ),
    Transition(
        "PreviousReleased", (SETTLE,), guards.previous_was_kept_long_enough, RETIRE, actions.let_go,
        "The version before was kept for `keepPreviousSeconds`.",
    ),
    Transition(
        "RolloutFinished", (RETIRE,), guards.nothing_is_left_over, STABLE, actions.stay,
        "The pods of every other version are gone.",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Happened:
    """One transition that was taken, for Events and logs. `blame`: why a version was taken back."""

    name: str
    meaning: str
    phase: Phase
    version: int | None
    percent: int
    blame: Problem | None = None


@dataclass(frozen=True)
class Decision:
    """The state to store and the work that follows from it.

    `verify`: the candidate's verification Job has to exist. `delete_others`: the children of versions that
    `state` does not keep may go, as no gateway sends them anything any more. `requeue_seconds`: when time
    alone may change the answer.
    """

    state: State
    happened: tuple[Happened, ...] = ()
    verify: bool = False
    delete_others: bool = False
    requeue_seconds: float | None = None


JUDGE_SECONDS = 1.0
"""How often gateways are asked while a version is judged."""


def decide(goal: Goal, state: State, seen: Observed, now: float) -> Decision:
    """The next state, walked to from `state` by as many transitions as hold at this moment.

    Idempotent: deciding again with the result, and nothing else changed, gives the result.
    """
    before = _traffic(state)
    scene = Scene(goal, _kept_up(goal, state, seen, now), seen, now)
    happened: list[Happened] = []
    for _ in range(len(Phase)):  # a walk through every phase; more would be a circle in the table
        step = _next(scene)
        if step is None:
            break
        transition, blamed = step
        happened.append(_told(transition, blamed))
        scene = replace(blamed, state=_moved(transition, blamed), blame=None)
        if _traffic(scene.state) != before:
            # What is seen of the gateways belongs to the routing before: nothing more is decided on it.
            scene = replace(scene, seen=replace(seen, acknowledged_seconds=None))
    result, seen = _kept_up(goal, scene.state, seen, now), scene.seen
    if _traffic(result) != before:
        result = replace(result, revision=max(result.revision, seen.highest_revision) + 1)
        seen = replace(seen, acknowledged_seconds=None)
    return Decision(
        state=result,
        happened=tuple(happened),
        verify=result.phase is VERIFY,
        delete_others=_may_delete(result, seen, goal),
        requeue_seconds=_requeue_seconds(scene, goal),
    )


def _traffic(state: State) -> Mapping[str, Any] | None:
    """What the gateways are told in `state`: another revision is due when it changes."""
    return routing.without_revision(routing.routing_file("", "", state))


def needs_reports(state: State, acknowledged: bool) -> bool:
    """Whether the gateways have to be asked before `decide` can say anything new."""
    return not acknowledged or state.phase in (VERIFY, SHIFT, SETTLE)


def unusable_candidate(state: State, seen: Observed) -> int | None:
    """The version that has a share which some ready gateway cannot give it; not while paused."""
    candidate = state.candidate
    if candidate is None or state.phase is not SHIFT or state.stopped_since is not None:
        return None
    if not seen.ready_gateways or guards.is_usable(seen, candidate):
        return None
    return candidate.version


def _next(scene: Scene) -> tuple[Transition, Scene] | None:
    for transition in TRANSITIONS:
        if scene.state.phase not in transition.source:
            continue
        if transition.serving is not None and transition.serving != guards.something_serves(scene):
            continue
        answer = transition.guard(scene)
        if answer:
            return transition, replace(scene, blame=answer if isinstance(answer, Problem) else None)
    return None


def _moved(transition: Transition, scene: Scene) -> State:
    state = transition.action(scene)
    state = replace(state, phase=scene.state.phase if transition.target is None else transition.target)
    if not transition.restarts_clock:
        return state
    # A clock that begins while it stands still, as after a promotion by hand, has nothing to make up for.
    return replace(state, since=scene.now, stopped_since=None if state.stopped_since is None else scene.now)


def _told(transition: Transition, scene: Scene) -> Happened:
    after = transition.action(scene)
    subject = scene.state.candidate or after.candidate or after.serving
    if transition.name == "RolledBack" and scene.state.candidate is None:
        subject = scene.state.serving
    if transition.name == "PreviousReleased":
        subject = scene.state.previous
    return Happened(
        name=transition.name,
        meaning=transition.meaning,
        phase=scene.state.phase if transition.target is None else transition.target,
        version=None if subject is None else subject.version,
        percent=after.percent,
        blame=scene.blame,
    )


def _kept_up(goal: Goal, state: State, seen: Observed, now: float) -> State:
    """`state` with what follows from the goal and the moment alone, whatever the phase."""
    state = replace(_with_shadow(goal, state), sticky=goal.rollout.sticky)
    return _with_gone(_with_fallback(_with_clock(goal, state, seen, now), seen), seen, now)


def _with_shadow(goal: Goal, state: State) -> State:
    """A shadow whose share was changed meanwhile gets the new one."""
    shadow = goal.rollout.shadow
    return replace(state, shadow_percent=shadow.percent) if shadow and state.shadow_percent else state


def _with_fallback(state: State, seen: Observed) -> State:
    """Gateways may ask the version before while it is ready, and as long as the new one is on trial."""
    previous = state.previous
    stands_in = previous is not None and state.on_trial is not None and guards.is_warm(seen, previous)
    return replace(state, fallback=previous.version if stands_in and previous is not None else None)


def _with_gone(state: State, seen: Observed, now: float) -> State:
    on_trial = state.on_trial
    if on_trial is None or seen.ready_pods(on_trial.version) > 0:
        return replace(state, gone_since=None)
    return replace(state, gone_since=now if state.gone_since is None else state.gone_since)


def _with_clock(goal: Goal, state: State, seen: Observed, now: float) -> State:
    """The rollout's clock stands still while it is paused, and while the candidate cannot be begun because
    others of its number are still in use. For the first version of all it always runs: there is none that
    could serve meanwhile.
    """
    if state.candidate is None or state.serving is None:
        return replace(state, stopped_since=None)
    stands_still = goal.rollout.pause or (
        state.phase is LOAD and guards.place_is_taken(seen, state.candidate)
    )
    if stands_still and state.stopped_since is None:
        return replace(state, stopped_since=now)
    if not stands_still and state.stopped_since is not None:
        return replace(state, since=state.since + now - state.stopped_since, stopped_since=None)
    return state


def _may_delete(state: State, seen: Observed, goal: Goal) -> bool:
    if state.serving is None:
        return True
    return seen.acknowledged_seconds is not None and seen.acknowledged_seconds >= goal.request_seconds


def _requeue_seconds(scene: Scene, goal: Goal) -> float | None:
    state, seen = scene.state, scene.seen
    waits: list[float] = []
    if state.phase in (SHIFT, SETTLE) and (seen.ready_gateways or state.gone_since is not None):
        waits.append(JUDGE_SECONDS)
    if state.phase is VERIFY and state.serving is not None:
        waits.append(JUDGE_SECONDS)
    if state.phase in (LOAD, VERIFY) and state.stopped_since is None:
        waits.append(goal.rollout.progress_deadline_seconds - scene.seconds_in_phase)
    if state.phase in (LOAD, RETIRE) and seen.acknowledged_seconds is not None:
        waits.append(goal.request_seconds - seen.acknowledged_seconds)
    waits = [wait for wait in waits if wait > 0]
    return min(waits) if waits else None
