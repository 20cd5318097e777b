"""Users who promote, stop or change the spec in mid-rollout."""

from imageclassifier_operator import api
from imageclassifier_operator.observe.types import (
    GatewaySnapshot,
    Snapshot,
)
from imageclassifier_operator.rollout import decide, goal_of, routing
from imageclassifier_operator.rollout.state import Phase, State
from simulated_cluster import served
from simulated_rollouts import Rollouts, with_a_share


def test_a_step_promoted_by_hand_does_not_wait_for_the_clock_that_stands_still_while_paused() -> None:
    rollouts = Rollouts()
    rollouts.install(strategy="paused", version=1, leftovers={1: (False, False), 2: (True, True)})
    rollouts.teardown()
    assert routing.shares(rollouts.state) == {1: 100}


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


def test_a_stop_in_a_step_ends_the_candidate_with_the_gateways() -> None:
    rollouts = with_a_share(Rollouts())
    rollouts.the_user_stops_it()
    assert set(rollouts.deployments) == {1}
