"""A classifier that is stopped and started again."""

from dataclasses import replace

import pytest

from imageclassifier_operator.rollout import decide
from imageclassifier_operator.rollout.state import Phase, State
from simulated_rollouts import Rollouts, with_a_share
from single_decisions import NOW, ONE, ROLLING, TWO, goal, seen


@pytest.mark.parametrize(
    "state",
    [
        State(revision=5, phase=Phase.STABLE, serving=ONE),
        replace(ROLLING, phase=Phase.LOAD),
        replace(ROLLING, phase=Phase.SHIFT, percent=10),
        State(revision=5, phase=Phase.SETTLE, serving=ONE, previous=TWO, attempt="a", since=NOW),
    ],
    ids=["at rest", "loading", "canary", "settling"],
)
def test_a_stopped_classifier_keeps_its_serving_version_and_fails_no_version(state: State) -> None:
    stopped = decide(replace(goal(), stopped=True), state, seen(), NOW + 1)
    assert (stopped.state.phase, stopped.state.serving) == (Phase.STOPPED, ONE)
    assert (stopped.state.kept, stopped.state.failed) == ({1: ONE}, ())
    gone = replace(seen(), gateways=(), versions={}, acknowledged_seconds=None)
    later = decide(replace(goal(), stopped=True), stopped.state, gone, NOW + 100_000)
    assert later.state == stopped.state
    assert later.requeue_seconds is None
    assert later.delete_others
    started = decide(replace(goal(wanted=ONE), stopped=False), later.state, gone, NOW + 100_001).state
    assert (started.phase, started.serving, started.failed) == (Phase.STABLE, ONE, ())


def test_a_version_requested_while_stopped_is_rolled_out_after_the_start() -> None:
    asleep = State(revision=5, phase=Phase.STOPPED, serving=ONE)
    assert decide(replace(goal(), stopped=True), asleep, seen(), NOW).state == asleep
    gone = replace(seen(), gateways=(), versions={}, acknowledged_seconds=None)
    woken = decide(goal(), asleep, gone, NOW).state
    assert (woken.phase, woken.serving, woken.candidate) == (Phase.LOAD, ONE, TWO)


def test_a_stop_in_a_step_ends_the_candidate_with_the_gateways() -> None:
    rollouts = with_a_share(Rollouts())
    rollouts.the_user_stops_it()
    assert set(rollouts.deployments) == {1}
