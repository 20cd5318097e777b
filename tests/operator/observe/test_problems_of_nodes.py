"""Pods that their node ended or lost: what counts against the version, and what does not."""

import pytest

from broken_pods import container, crashed, pod
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.pod_problems import diagnose

EVICTED = "The node was low on resource: memory. Container model-server was using 3Gi, request is 1Gi. "


@pytest.mark.parametrize(
    "container_of_it",
    [
        crashed("Error", code=137),
        crashed("ContainerStatusUnknown", code=137),
        crashed("OOMKilled", code=137),
        container(state={"terminated": {"reason": "Error", "exitCode": 137}}),
    ],
)
@pytest.mark.parametrize("reason", ["Evicted", "Terminated", "Preempting", "NodeLost"])
def test_how_containers_ended_when_a_node_ended_their_pod_is_not_held_against_the_version(
    container_of_it, reason
):
    ended = pod(phase="Failed", reason=reason, message=EVICTED, containers=[container_of_it])
    problem = diagnose([ended])
    assert (problem.reason, problem.fatal) == (Reason.POD_EVICTED, False)
    assert f"ended by its node ({reason}): The node was low on resource: memory" in problem.message


@pytest.mark.parametrize("code", [137, 143])
def test_a_killed_container_counts_against_the_version_only_after_repeated_kills(code):
    """A node that shuts down kills containers; the kubelet kills one that fails its liveness probes."""
    killed = {"terminated": {"reason": "Error", "exitCode": code}}
    assert diagnose([pod(containers=[container(state=killed)])]) is None
    restarted = container(state={"waiting": {"reason": "CrashLoopBackOff"}}, lastState=killed)
    first = diagnose([pod(containers=[{**restarted, "restartCount": 1}])])
    assert not first.fatal
    assert "was killed by a signal" in first.message
    assert diagnose([pod(containers=[{**restarted, "restartCount": 4}])]).fatal


def test_a_pod_that_wrote_more_to_disk_than_its_own_limit_is_held_against_the_version():
    own = "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi. "
    problem = diagnose([pod(phase="Failed", reason="Evicted", message=own)])
    assert (problem.reason, problem.fatal) == (Reason.POD_EVICTED, True)
    condition = {"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet"}
    nodes = diagnose([pod(phase="Failed", reason="Evicted", message=own, conditions=[condition])])
    assert not nodes.fatal


@pytest.mark.parametrize("lost", [("ContainerStatusUnknown", 137), ("Unknown", 255)])
@pytest.mark.parametrize("kind", ["containers", "inits"])
def test_a_container_that_its_node_lost_in_a_reboot_is_not_held_against_the_version(lost, kind):
    reason, code = lost
    running = crashed(reason, code=code, name="model-files" if kind == "inits" else "model-server")
    running["state"] = {"running": {}}
    problem = diagnose([pod(**{kind: [running]})])
    assert (problem.reason, problem.fatal) == (Reason.CONTAINER_CRASHED, False)
    assert "its node was interrupted" in problem.message


def test_a_problem_of_the_version_is_reported_before_a_problem_of_a_node():
    lost = pod("a", containers=[crashed("Unknown", code=255)])
    broken = pod("b", containers=[crashed(message="terminate called")])
    assert diagnose([lost, broken]) == diagnose([broken])
