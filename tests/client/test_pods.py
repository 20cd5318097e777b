"""The state of a pod, in the word that `kubectl get pods` shows."""

from typing import Any

import pytest

from classifier_objects import NOW, pod
from imageclassifier_client.report.pods import pod_of


def container(**state: Any) -> dict[str, Any]:
    return {"restartCount": 1, "state": state}


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ({"phase": "Running", "containerStatuses": [container(running={})]}, "Running"),
        ({"phase": "Pending"}, "Pending"),
        (
            {
                "phase": "Pending",
                "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}],
            },
            "Unschedulable",
        ),
        (
            {"phase": "Pending", "containerStatuses": [container(waiting={"reason": "ContainerCreating"})]},
            "Pending",
        ),
        (
            {"phase": "Pending", "containerStatuses": [container(waiting={"reason": "ImagePullBackOff"})]},
            "ImagePullBackOff",
        ),
        (
            {
                "phase": "Pending",
                "initContainerStatuses": [container(terminated={"exitCode": 1, "reason": "Error"})],
            },
            "Init:Error",
        ),
        (
            {
                "phase": "Pending",
                "initContainerStatuses": [container(terminated={"exitCode": 0, "reason": "Completed"})],
                "containerStatuses": [container(waiting={"reason": "PodInitializing"})],
            },
            "Pending",
        ),
        (
            {
                "phase": "Failed",
                "containerStatuses": [container(terminated={"exitCode": 137, "reason": "OOMKilled"})],
            },
            "OOMKilled",
        ),
        ({"phase": "Failed", "reason": "Evicted"}, "Evicted"),
        ({"phase": "Succeeded"}, "Completed"),
    ],
)
def test_the_state_of_a_pod(status: dict[str, Any], state: str) -> None:
    assert pod_of(pod("p", "serving", 1, **status), NOW).state == state


def test_a_pod_that_is_being_deleted_is_terminating() -> None:
    body = pod("p", "serving", 1)
    body["metadata"]["deletionTimestamp"] = "2027-01-15T07:00:00Z"
    assert pod_of(body, NOW).state == "Terminating"


def test_a_pod_without_a_status_and_labels_is_unknown() -> None:
    found = pod_of({"metadata": {"name": "p"}}, NOW)
    assert (found.state, found.version, found.component, found.is_ready) == ("Unknown", None, "", False)
