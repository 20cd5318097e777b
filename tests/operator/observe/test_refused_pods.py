"""Pods that cannot be created: problems of a Deployment and of a Job."""

from typing import Any

import pytest

from broken_pods import pod, waiting
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.pod_problems import diagnose, diagnose_job


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ('pods "p" is forbidden: exceeded quota: small, requested: memory=2Gi', "QuotaExceeded"),
        ('pods "p" is forbidden: violates PodSecurity "restricted:latest"', "AdmissionRefused"),
    ],
)
def test_pods_that_cannot_be_created_are_reported_from_the_deployments_condition(message, reason):
    condition = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}
    deployment = {"metadata": {"name": "pizza-serving-v2"}, "status": {"conditions": [condition]}}
    problem = diagnose([], deployment)
    assert problem is not None
    assert problem.reason.value == reason
    assert "Deployment pizza-serving-v2" in problem.message


SERVING, GATEWAY = "spec.serving.resources", "spec.gateway.resources"


def advice(message: str, component: str = "serving") -> str:
    """The message for a Deployment whose pods are refused."""
    condition = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}
    metadata = {"name": "pizza", "labels": {"app.kubernetes.io/component": component}}
    problem = diagnose([], {"metadata": metadata, "status": {"conditions": [condition]}})
    assert problem is not None
    assert problem.reason is Reason.QUOTA_EXCEEDED
    return str(problem.message)


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (
            "failed quota: small: must specify limits.cpu for: model-files,model-server",
            f"Set {SERVING}.limits.cpu: the quota requires it of every container.",
        ),
        (
            'pods "p" is forbidden: failed quota: q: must specify cpu,limits.memory for: model-server',
            f"Set {SERVING}.requests.cpu and {SERVING}.limits.memory: the quota requires it",
        ),
        (
            'pods "p" is forbidden: exceeded quota: small, requested: limits.cpu=2,memory=2Gi,pods=1, used: '
            "limits.cpu=3,memory=1Gi,pods=1, limited: limits.cpu=4,memory=2Gi,pods=9",
            f"Raise the quota, or lower {SERVING}.limits.cpu and {SERVING}.requests.memory. A rollout",
        ),
        (
            'pods "p" is forbidden: exceeded quota: gpus, requested: requests.nvidia.com/gpu=1, used: '
            "requests.nvidia.com/gpu=1, limited: requests.nvidia.com/gpu=1",
            f"Raise the quota, or lower {SERVING}.requests.nvidia.com/gpu. A rollout needs room for the",
        ),
        (
            'pods "p" is forbidden: exceeded quota: q, requested: pods=1, used: pods=4, limited: pods=4',
            "Raise the quota, or use fewer replicas.",
        ),
        (
            'pods "p" is forbidden: maximum cpu usage per Container is 1500m, but limit is 2',
            f"Set {SERVING}.limits.cpu to at most 1500m.",
        ),
        (
            'pods "p" is forbidden: maximum memory usage per Pod is 1.5Gi.  No limit is specified',
            f"Set {SERVING}.limits.memory to at most 1.5Gi.",
        ),
        (
            'pods "p" is forbidden: [minimum memory usage per Container is 1Gi, but request is 256Mi, '
            "minimum cpu usage per Container is 1, but request is 100m]",
            f"Set {SERVING}.requests.memory to at least 1Gi.",
        ),
        (
            'pods "p" is forbidden: cpu max limit to request ratio per Container is 4, but provided ratio is '
            "10.000000",
            f"Set {SERVING}.limits.cpu to at most 4 times {SERVING}.requests.cpu.",
        ),
    ],
)
def test_a_quota_or_limit_range_names_the_field_to_set(message: str, told: str) -> None:
    assert told in advice(message)


@pytest.mark.parametrize("component", ["gateway", "verify"])
def test_the_resources_of_the_gateway_are_those_of_verifications_too(component: str) -> None:
    assert f"Set {GATEWAY}.limits.cpu:" in advice(
        "failed quota: q: must specify limits.cpu for: a", component
    )


def refused_pods(job: str, uid: str) -> dict[str, Any]:
    message = 'Error creating: pods "p" is forbidden: exceeded quota: small, requested: pods=1'
    about = {"kind": "Job", "name": job, "uid": uid}
    return {"involvedObject": about, "reason": "FailedCreate", "message": message}


def test_a_job_that_cannot_create_its_pod_is_reported_until_it_has_one():
    job = {"metadata": {"name": "pizza-verify-v2-a", "uid": "now"}}
    events = [refused_pods("pizza-verify-v2-a", "now")]
    problem = diagnose_job(job, [], events)
    assert problem is not None
    assert problem.reason is Reason.QUOTA_EXCEEDED
    assert "Job pizza-verify-v2-a" in problem.message
    assert diagnose_job(job, [pod(ready=True)], events) is None


def test_a_refused_pod_of_an_earlier_job_is_not_a_problem_of_this_one():
    events = [refused_pods("pizza-verify-v2-a", "before")]
    job = {"metadata": {"name": "pizza-verify-v2-a", "uid": "now"}}
    assert diagnose_job(job, [], events) is None
    assert diagnose([pod(containers=[waiting("ContainerCreating")])], events=events) is None
