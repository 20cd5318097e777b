"""The snapshot of a version distinguishes current from outdated pods."""

from typing import Any

import pytest

from imageclassifier_operator.api import names
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe import objects
from imageclassifier_operator.observe.types import Problem
from rendered import all_children


def deployment(memory: str = "1Gi", **status: Any) -> dict[str, Any]:
    """The Deployment of version 3 as it is stored, `status` and all."""
    spec = {
        "model": {"version": 3, "source": {"image": {"reference": "pizza-model:{version}"}}},
        "serving": {"resources": {"limits": {"memory": memory}}},
    }
    rendered = all_children(spec)["Deployment", "pizza-serving-v3"]
    metadata = {**rendered["metadata"], "generation": 2}
    return {**rendered, "metadata": metadata, "status": {"observedGeneration": 2, **status}}


def broken_pod(of: dict[str, Any]) -> dict[str, Any]:
    """A pod that this Deployment's template made, killed for its memory."""
    template = of["spec"]["template"]
    status = {
        "name": "model-server",
        "ready": False,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}},
    }
    metadata = {**template["metadata"], "name": "pizza-serving-v3-abc"}
    return {"metadata": metadata, "spec": template["spec"], "status": {"containerStatuses": [status]}}


def problem(live: dict[str, Any], *pods: dict[str, Any]) -> Problem | None:
    found = objects.Objects(deployments=[live], pods=pods, warnings=[])
    return objects.versions(found, {})[3].problem


def test_a_problem_of_a_pod_of_the_current_template_is_reported() -> None:
    live = deployment()
    told = problem(live, broken_pod(live))
    assert told is not None
    assert (told.reason, told.fatal) == (Reason.OUT_OF_MEMORY, True)


def test_a_problem_of_an_outdated_pod_is_not_reported() -> None:
    assert problem(deployment("4Gi"), broken_pod(deployment("1Gi"))) is None


def test_a_pod_with_another_grace_period_is_still_current() -> None:
    """The gateway's timeout is not an input of the version, but a change replaces its pods."""
    live, earlier = deployment(), deployment()
    earlier["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] += 5
    assert problem(live, broken_pod(earlier)) is not None


@pytest.mark.parametrize("leaving", [False, True])
def test_an_earlier_pod_that_answers_is_seen_also_on_its_way_out(leaving: bool) -> None:
    pod = broken_pod(deployment("1Gi"))
    pod["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
    if leaving:
        pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    for live, seen in ((deployment("4Gi"), True), (deployment("1Gi"), False)):
        found = objects.Objects(deployments=[live], pods=[pod], warnings=[])
        assert objects.versions(found, {})[3].outdated_pods_serve is seen


def test_pods_of_a_deployment_without_a_pod_hash_are_current() -> None:
    live = deployment()
    del live["spec"]["template"]["metadata"]["annotations"][names.ANNOTATION_POD_HASH]
    assert problem(live, broken_pod(live)) is not None


def test_a_refusal_in_an_outdated_status_is_not_reported() -> None:
    message = 'pods "p" is forbidden: exceeded quota: q'
    refused = {"type": "ReplicaFailure", "status": "True", "message": message}
    assert problem(deployment(conditions=[refused])) is not None
    assert problem(deployment(conditions=[refused], observedGeneration=1)) is None
