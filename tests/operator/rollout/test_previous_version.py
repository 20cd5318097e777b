"""The previous version after a promotion: when it answers as the fallback, and when it serves again."""

from simulated_cluster import served
from simulated_rollouts import Rollouts, settling


def test_a_version_whose_only_pod_misses_a_probe_is_not_rolled_back() -> None:
    rollouts = settling(Rollouts())
    rollouts.deployments[2].update(ready=False)
    for _ in range(9):
        rollouts.time_passes(1)
    assert rollouts.state.serving == served(2)
    rollouts.deployments[2].update(ready=True)
    rollouts.time_passes(200)
    assert (rollouts.state.serving, rollouts.state.failed) == (served(2), ())


def test_a_version_without_a_ready_pod_for_long_is_rolled_back() -> None:
    rollouts = settling(Rollouts())
    rollouts.deployments[2].update(ready=False)
    rollouts.time_passes(0.2)
    rollouts.time_passes(200)
    assert (rollouts.state.serving, rollouts.state.failed[0].reason) == (served(1), "CandidateUnavailable")


def test_a_previous_version_that_is_not_ready_is_not_a_fallback() -> None:
    rollouts = settling(Rollouts())
    rollouts.deployments[1].update(ready=False)
    rollouts.time_passes(1)
    assert (rollouts.state.serving, rollouts.state.fallback) == (served(2), None)
    rollouts.deployments[1].update(ready=True)
    rollouts.time_passes(1)
    assert rollouts.state.fallback == 1


def test_a_manual_return_to_the_previous_version_leaves_no_fallback() -> None:
    rollouts = settling(Rollouts())
    assert rollouts.state.fallback == 1
    rollouts.the_spec_changes(version=1, memory="1Gi")
    assert (rollouts.state.serving, rollouts.state.fallback) == (served(1), None)
