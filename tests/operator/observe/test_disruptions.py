"""When nodes or users last terminated pods: such disruptions do not count against a version."""

from datetime import datetime
from typing import Any

import pytest

from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.disruptions import disrupted_at
from imageclassifier_operator.observe.pod_problems import diagnose, is_unresponsive
from imageclassifier_operator.observe.verification_verdict import verdict

NOON = "2026-01-01T12:00:00Z"


def condition(kind: str, status: str, reason: str = "") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason, "lastTransitionTime": NOON}


def pod(*conditions: dict[str, str], containers: Any = (), **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "p", **metadata},
        "spec": {"nodeName": "worker-2"},
        "status": {"conditions": list(conditions), "containerStatuses": list(containers)},
    }


RUNNING = {"name": "c", "image": "i", "ready": True, "started": True, "state": {"running": {}}}
DRAINED = pod(condition("DisruptionTarget", "True", "EvictionByEvictionAPI"), condition("Ready", "True"))
SILENT = pod(condition("Ready", "False"), containers=[RUNNING])
DELETED = pod(
    condition("Ready", "True"), deletionTimestamp="2026-01-01T12:00:55Z", deletionGracePeriodSeconds=55
)


def restarted(**ended: Any) -> dict[str, Any]:
    last = {"terminated": {"finishedAt": NOON, **ended}}
    return pod(containers=[{**RUNNING, "ready": False, "started": False, "lastState": last}])


@pytest.mark.parametrize(
    ("started", "unresponsive"),
    [("2026-01-01T11:59:50Z", True), ("2026-01-01T12:00:06Z", False)],
    ids=["ready before", "restarted since"],
)
def test_a_running_container_is_unresponsive_only_if_it_was_ready_since_it_started(
    started: str, unresponsive: bool
) -> None:
    failing = {**RUNNING, "ready": False, "state": {"running": {"startedAt": started}}}
    assert is_unresponsive(pod(condition("Ready", "False"), containers=[failing])) == unresponsive


@pytest.mark.parametrize(
    "body",
    [
        DRAINED,
        SILENT,
        DELETED,
        restarted(reason="Unknown", exitCode=255),
        restarted(reason="Error", exitCode=137),
    ],
    ids=["drained", "silent", "deleted", "lost in a reboot", "killed at shutdown"],
)
def test_the_time_of_a_disruption_is_known(body: dict[str, Any]) -> None:
    assert disrupted_at([pod(), body]) == datetime.fromisoformat(NOON).timestamp()


@pytest.mark.parametrize(
    "body",
    [
        pod(condition("Ready", "True"), containers=[RUNNING]),
        pod(condition("Ready", "False", "ContainersNotReady"), containers=[{**RUNNING, "ready": False}]),
        restarted(reason="Error", exitCode=139),
        restarted(reason="OOMKilled", exitCode=137),
    ],
    ids=["ready", "unready", "crashed", "out of memory"],
)
def test_failures_of_the_version_itself_are_not_disruptions(body: dict[str, Any]) -> None:
    assert disrupted_at([body]) is None


def test_a_pod_that_its_job_deletes_is_not_disrupted() -> None:
    assert disrupted_at([DELETED], deletions=False) is None


def test_a_pod_on_a_node_that_stopped_reporting_is_reported_with_its_node() -> None:
    problem = diagnose([SILENT])
    assert problem is not None
    assert (problem.reason, problem.fatal) == (Reason.NODE_LOST, False)
    assert "kubectl describe node worker-2" in problem.message
    assert not is_unresponsive(SILENT)


def test_a_verification_on_a_node_that_stopped_reporting_is_inconclusive() -> None:
    found = verdict({"metadata": {"name": "j"}}, [SILENT])
    assert found is not None
    assert not found.conclusive
