"""Rollouts whose pods are lost with their nodes, or stop to answer."""

from collections.abc import Callable

import pytest

from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.types import (
    Problem,
)
from simulated_cluster import HANGS, OF_THE_CLUSTER
from simulated_rollouts import Rollouts, settling, with_a_share


@pytest.mark.parametrize("begin", [with_a_share, settling])
@pytest.mark.parametrize("meanwhile", [None, *OF_THE_CLUSTER])
def test_a_version_whose_only_node_is_drained_continues_its_rollout_step(
    begin: Callable[[Rollouts], Rollouts], meanwhile: Reason | None
) -> None:
    rollouts = begin(Rollouts())
    rollouts.time_passes(20)
    before = rollouts.state
    problem = None if meanwhile is None else Problem(meanwhile, "there is no node")
    rollouts.deployments[2].update(ready=False, problem=problem, disrupted_at=rollouts.now)
    rollouts.reconcile()
    for _ in range(9):
        rollouts.time_passes(10)
    if meanwhile is not None:
        rollouts.time_passes(10_000)
    rollouts.deployments[2].update(ready=True, problem=None)
    rollouts.time_passes(1)
    after = rollouts.state
    assert (after.phase, after.percent, after.failed) == (before.phase, before.percent, ())


def test_the_time_without_pods_is_not_part_of_a_step() -> None:
    rollouts = with_a_share(Rollouts())
    rollouts.time_passes(20)
    rollouts.requests_come_in(good=1000, bad=0, slow=0)
    rollouts.deployments[2].update(ready=False, disrupted_at=rollouts.now)
    rollouts.reconcile()
    rollouts.time_passes(60)
    rollouts.deployments[2].update(ready=True)
    rollouts.time_passes(1)
    assert rollouts.state.percent == 10
    rollouts.time_passes(10)
    assert rollouts.state.percent == 50


def test_pods_that_run_and_do_not_answer_have_ten_seconds_after_a_disruption_too() -> None:
    rollouts = with_a_share(Rollouts())
    rollouts.deployments[2].update(ready=False, problem=HANGS, disrupted_at=rollouts.now - 1_000)
    for _ in range(12):
        rollouts.time_passes(1)
    assert [failed.reason for failed in rollouts.state.failed] == ["NotAnswering"]
