"""The verdict of a verification Job."""

import json

from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.verification_verdict import verdict

JOB = {"metadata": {"name": "pizza-verify-v2-a"}}


def ended(message: str, code: int) -> dict:
    container = {"name": "verify", "state": {"terminated": {"exitCode": code, "message": message}}}
    return {"metadata": {"name": "pod-1"}, "status": {"containerStatuses": [container]}}


def test_only_a_result_of_the_job_itself_is_conclusive():
    said = {"schema": 1, "passed": False, "reason": "GoldenFailed", "message": "differs by 0.2."}
    told = verdict(JOB, [ended(json.dumps(said), 1)])
    assert (told.passed, told.conclusive, told.reason) == (False, True, Reason.GOLDEN_FAILED)
    assert told.message == "differs by 0.2."
    assert not verdict(JOB, [ended("Killed", 137)]).conclusive
    assert not verdict(JOB, [ended(json.dumps(said), 2)]).conclusive
    assert not verdict(JOB, [ended("[]", 0)]).passed
    assert verdict(JOB, []) is None


def test_a_job_that_ended_and_whose_pod_is_gone_is_inconclusive():
    complete = {**JOB, "status": {"conditions": [{"type": "Complete", "status": "True"}]}}
    told = verdict(complete, [])
    assert not told.conclusive
    assert "its pod with the verdict is gone" in told.message
    running = {"metadata": {"name": "pod-1"}, "status": {}}
    assert verdict(complete, [running]) is None, "the pod's event comes after the Job's"


def test_a_failed_result_with_an_unknown_reason_still_refuses_the_version():
    said = {"schema": 1, "passed": False, "reason": "NewInTheNextRelease", "message": "m"}
    assert verdict(JOB, [ended(json.dumps(said), 1)]).reason is Reason.VERIFICATION_FAILED


def test_the_figures_of_a_verification_appear_in_the_status():
    case = {"name": "c", "expected": "pizza", "label": "x", "probability": 0.1, "passed": False}
    said = {
        "schema": 1,
        "passed": False,
        "reason": "AcceptanceFailed",
        "message": "m",
        "golden": {"cases": 3, "worst_difference": 0.0001},
        "latency_milliseconds": {"p50": 12, "p99": 20},
        "cases_total": 99,
        "cases_passed": 0,
        "cases": [case],
    }
    details = verdict(JOB, [ended(json.dumps(said), 1)]).details
    assert details["casesTotal"] == 99
    assert details["cases"] == [case]
    assert details["latencyMilliseconds"] == {"p50": 12.0, "p99": 20.0}


def test_the_warnings_of_a_version_that_passed_appear_in_the_status():
    said = {"schema": 1, "passed": True, "message": "m", "warnings": ["It ignores the picture."]}
    assert verdict(JOB, [ended(json.dumps(said), 0)]).details["warnings"] == ["It ignores the picture."]
