"""Paused rollouts, and what the annotation promote and a promote token continue."""

from dataclasses import replace
from typing import Any

from imageclassifier_operator.api import (
    Step,
)
from imageclassifier_operator.rollout import decide, routing
from imageclassifier_operator.rollout.state import Phase, State
from simulated_rollouts import Rollouts
from single_decisions import NOW, ONE, PASSED, ROLLING, TWO, goal, names, seen


def test_a_candidate_that_passed_waits_for_its_promotion_without_a_deadline() -> None:
    state = replace(ROLLING, phase=Phase.VERIFY, clock_stopped_since=NOW)
    looks = seen(connected=False, verdict=PASSED)
    assert names(decide(goal(paused=True), state, looks, NOW + 10_000)) == []


def test_a_step_promoted_by_hand_lasts_no_longer_for_the_time_that_was_spent_paused() -> None:
    rules = {"steps": (Step(10, 60), Step(50, 60))}
    paused = replace(ROLLING, phase=Phase.SHIFT, percent=10, clock_stopped_since=NOW)
    promoted = decide(goal(paused=True, promote="yes", **rules), paused, seen(), NOW + 5_000).state
    assert promoted.percent == 50
    going_on = decide(goal(promote="yes", **rules), promoted, seen(), NOW + 5_010).state
    assert decide(goal(promote="yes", **rules), going_on, seen(), NOW + 5_069).state.phase is Phase.SHIFT
    assert decide(goal(promote="yes", **rules), going_on, seen(), NOW + 5_070).state.phase is Phase.SETTLE


def test_a_promote_token_continues_a_paused_rollout_only_once() -> None:
    rules: dict[str, Any] = {"paused": True, "steps": (Step(10, 60), Step(50, 60))}
    state = replace(ROLLING, phase=Phase.SHIFT, percent=10, clock_stopped_since=NOW)
    assert decide(goal(**rules), state, seen(), NOW + 1).state.percent == 10
    state = decide(goal(promote_token="monday", **rules), state, seen(), NOW + 2).state
    assert state.percent == 50
    for wanted in (
        goal(promote_token="monday", **rules),
        goal(**rules),
        goal(promote_token="monday", **rules),
    ):
        state = decide(wanted, state, seen(revision=state.revision), NOW + 3).state
        assert (state.phase, state.percent) == (Phase.SHIFT, 50)
    again = decide(goal(promote_token="tuesday", **rules), state, seen(revision=state.revision), NOW + 4)
    assert again.state.phase is Phase.SETTLE


def test_a_promote_token_that_is_in_the_manifest_of_a_new_version_promotes_nothing() -> None:
    wanted = goal(attempt="b", promote_token="monday", paused=True, steps=(Step(10, 60),))
    started = decide(wanted, State(revision=5, phase=Phase.STABLE, serving=ONE), seen(), NOW).state
    verified = replace(started, phase=Phase.VERIFY)
    looks = replace(seen(revision=verified.revision), verdict=PASSED)
    assert decide(wanted, verified, looks, NOW + 1).state.phase is Phase.VERIFY
    annotated = replace(wanted, promote="by hand")
    assert decide(annotated, verified, looks, NOW + 1).state.phase is Phase.SHIFT


def test_the_first_version_of_all_is_not_paused() -> None:
    """No version serves in the meantime, and the deadline counts."""
    first = State(phase=Phase.VERIFY, candidate=TWO, attempt="a", since=NOW)
    looks = replace(seen(), gateways=(), acknowledged_seconds=None)
    after = decide(goal(paused=True), first, looks, NOW + 600).state
    assert (after.phase, after.failed[0].version) == (Phase.PENDING, 2)


def test_a_step_promoted_by_hand_does_not_wait_for_the_clock_that_stands_still_while_paused() -> None:
    rollouts = Rollouts()
    rollouts.install(strategy="paused", version=1, leftovers={1: (False, False), 2: (True, True)})
    rollouts.teardown()
    assert routing.shares(rollouts.state) == {1: 100}
