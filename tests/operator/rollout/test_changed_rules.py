"""Rules and fields of the spec that change during a rollout."""

from dataclasses import replace

import pytest

from imageclassifier_operator import api
from imageclassifier_operator.api import (
    Shadow,
    Step,
    Sticky,
)
from imageclassifier_operator.observe.types import GatewaySnapshot, Snapshot
from imageclassifier_operator.rollout import Goal, decide, goal_of, routing
from imageclassifier_operator.rollout.state import Phase, State
from single_decisions import NOW, ONE, ROLLING, SETTLING, TWO, broken, goal, names, seen, served


@pytest.mark.parametrize(
    "changed",
    [goal(attempt="b", keep_previous_seconds=900), goal(wanted=served(2, memory="2Gi"), attempt="b")],
    ids=["other rules", "other settings"],
)
def test_a_rule_change_before_a_failure_does_not_cause_a_retry(changed: Goal) -> None:
    after = decide(changed, SETTLING, broken(changed.wanted), NOW + 1).state
    assert (after.serving, after.candidate) == (ONE, None)
    assert [failed.attempt for failed in after.failed] == ["b"]
    assert names(decide(changed, after, seen(), NOW + 2))[-1:] != ["RolloutStarted"]


def test_rules_that_change_after_a_manual_rollback_start_no_rollout() -> None:
    gone_back = replace(SETTLING, serving=ONE, previous=TWO, attempt="")
    after = decide(goal(wanted=ONE, attempt="b"), gone_back, seen(), NOW + 1).state
    assert after == replace(gone_back, min_replicas=1)


def test_a_weight_removed_from_the_steps_lasts_as_long_as_the_step_before_it() -> None:
    state = replace(ROLLING, phase=Phase.SHIFT, percent=10)
    edited = goal(steps=(Step(5, 60), Step(50, 60)))
    assert decide(edited, state, seen(), NOW + 59).state.percent == 10
    assert decide(edited, state, seen(), NOW + 60).state.percent == 50


def test_a_shadow_gets_the_share_that_the_spec_asks_for_now() -> None:
    state = replace(ROLLING, phase=Phase.SHIFT, shadow_percent=10)
    decision = decide(goal(shadow=Shadow(40, min_compared=100)), state, seen(), NOW + 1)
    assert (decision.state.shadow_percent, decision.state.revision) == (40, 6)


def test_a_change_of_the_sticky_key_is_a_new_revision() -> None:
    """Without a new revision, the operator would not know when the gateways have read the change."""
    stable = State(revision=5, phase=Phase.STABLE, serving=ONE)
    decision = decide(goal(wanted=ONE, sticky=Sticky("header", "X-User")), stable, seen(), NOW)
    assert decision.state.revision == 6
    document = routing.routing_file("pizza", "food", decision.state)
    assert document is not None
    assert document["sticky"] == {"header": "X-User"}


def test_a_spec_refused_during_a_rollout_sets_the_weight_of_the_candidate_to_zero() -> None:
    """The user returns to version 1 but leaves the image of the candidate in the spec."""
    body = {
        "metadata": {"name": "pizza", "namespace": "food", "uid": "u", "generation": 3},
        "spec": {"model": {"name": "pizza", "version": 1, "source": {"image": {"reference": "pizza:2"}}}},
    }
    one, two = served(1), served(2)
    state = State(phase=Phase.SHIFT, serving=one, candidate=two, percent=30, attempt="a")
    goal = goal_of(api.parse(body), "tf", state)
    assert goal.refused is not None
    seen = Snapshot(gateways=(GatewaySnapshot("g", ready=True),), acknowledged_seconds=1.0)
    decision = decide(goal, state, seen, now=1_000.0)
    assert decision.taken[0].name == "RolloutAbandoned"
    assert routing.shares(decision.state) == {1: 100}
