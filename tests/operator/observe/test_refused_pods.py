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
