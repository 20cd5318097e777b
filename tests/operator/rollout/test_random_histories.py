"""The whole rollout under random histories of specs, pods, verifications, gateways, time and failures."""

from hypothesis import HealthCheck, settings

from simulated_rollouts import Rollouts

TestRollouts = Rollouts.TestCase
TestRollouts.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
