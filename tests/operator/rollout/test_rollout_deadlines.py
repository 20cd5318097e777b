"""The deadlines of a rollout: what stops them, what starts them again, and wrong clocks."""

from collections.abc import Callable
from typing import Any

import pytest

from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.types import (
    GatewaySnapshot,
    Problem,
    Snapshot,
    VersionSnapshot,
)
from imageclassifier_operator.rollout import Goal, decide
from imageclassifier_operator.rollout.state import Phase, State
from simulated_cluster import STRATEGIES, served
from simulated_rollouts import Rollouts, hanging, settling, without_pods


def late(phase: Phase, **seen: object) -> list[str]:
    """The transition of this phase long after its deadline."""
    one, two = served(1), served(2)
    state = State(phase=phase, serving=one, candidate=two, attempt="a", since=0.0)
    observed = Snapshot(
        versions={1: VersionSnapshot(one.input_hash, complete=True, ready_pods=1)},
        gateways=(GatewaySnapshot("g", ready=True),),
        acknowledged_seconds=1.0,
        **seen,
    )
    goal = Goal(wanted=two, attempt="a", rollout=STRATEGIES["at once"])
    return [each.name for each in decide(goal, state, observed, now=1_000.0).taken]


def test_the_deadline_does_not_count_while_children_cannot_be_written() -> None:
    blocked = Problem(Reason.CONFLICT, "Service pizza-serving-v2 belongs to nobody")
    assert late(Phase.LOAD) == ["CandidateFailed", "RolloutFinished"]
    assert late(Phase.VERIFY) == ["CandidateRefused", "RolloutFinished"]
    assert late(Phase.LOAD, blocked=blocked) == late(Phase.VERIFY, blocked=blocked) == []


def test_a_verification_that_exceeds_its_deadline_fails_with_its_cause() -> None:
    problem = Problem(Reason.QUOTA_EXCEEDED, "Job j: pods are refused")
    one, two = served(1), served(2)
    state = State(phase=Phase.VERIFY, serving=one, candidate=two, attempt="a", since=0.0)
    goal = Goal(wanted=two, attempt="a", rollout=STRATEGIES["at once"])
    [failed] = decide(goal, state, Snapshot(verification_problem=problem), now=1_000.0).state.failed
    assert failed.reason == "QuotaExceeded"
    assert "Job j: pods are refused" in failed.message


@pytest.mark.parametrize("begin", [without_pods, hanging])
@pytest.mark.parametrize("seconds", [-4_000, -300, 300, 4_000])
@pytest.mark.parametrize(
    "accident", [Rollouts.the_clock_of_the_node_jumps, Rollouts.a_leader_takes_over_whose_clock_differs]
)
def test_a_wrong_clock_neither_shortens_nor_prolongs_a_deadline(
    begin: Callable[[Rollouts], Rollouts], seconds: int, accident: Callable[[Rollouts, int], None]
) -> None:
    rollouts = begin(Rollouts())
    accident(rollouts, seconds)
    rollouts.time_passes(5)
    assert rollouts.state.failed == ()
    rollouts.time_passes(120)
    assert [failed.version for failed in rollouts.state.failed] == [2]


@pytest.mark.parametrize("seconds", [-4_000, -300])
def test_the_previous_version_is_not_kept_longer_by_a_leader_whose_clock_is_behind(seconds: int) -> None:
    rollouts = settling(Rollouts())
    rollouts.a_leader_takes_over_whose_clock_differs(seconds)
    rollouts.time_passes(70)
    assert rollouts.state.previous is None


@pytest.mark.parametrize("phase", [Phase.LOAD, Phase.VERIFY])
def test_the_deadline_starts_again_when_a_node_takes_the_candidates_pods(phase: Phase) -> None:
    one, two = served(1), served(2)
    goal = Goal(wanted=two, attempt="a", rollout=STRATEGIES["at once"])
    state = State(phase=phase, serving=one, candidate=two, attempt="a", since=0.0)

    def names_at(now: float, **of_the_pods: Any) -> list[str]:
        candidate = VersionSnapshot(two.input_hash, complete=False, ready_pods=0, **of_the_pods)
        serving = VersionSnapshot(one.input_hash, complete=True, ready_pods=1)
        seen = Snapshot(versions={1: serving, 2: candidate}, acknowledged_seconds=1.0)
        return [each.name for each in decide(goal, state, seen, now).taken]

    failure = {Phase.LOAD: "CandidateFailed", Phase.VERIFY: "CandidateRefused"}[phase]
    assert names_at(101)[:1] == [failure]
    assert names_at(101, disrupted_at=50.0) == []
    assert names_at(151, disrupted_at=50.0)[:1] == [failure]
    no_node = Problem(Reason.UNSCHEDULABLE, "0/2 nodes are available")
    assert names_at(1_000, disrupted_at=50.0, problem=no_node) == []
    assert names_at(101, problem=no_node)[:1] == [failure]
