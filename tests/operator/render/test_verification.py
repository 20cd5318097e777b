"""The plan of a verification Job, and the reasons for a missing verdict."""

import json
from typing import Any

import pytest

from imageclassifier_operator import api
from imageclassifier_operator.observe import verification_verdict
from imageclassifier_operator.render import verification_plan

LEGACY: dict[str, Any] = {
    "classes": [{"name": "dark"}, {"name": "light"}],
    "input": {"height": 8, "width": 8},
}


def failed_pod(said: str, code: int, **status: str) -> dict[str, Any]:
    ended = {"name": "verify", "state": {"terminated": {"exitCode": code, "message": said}}}
    return {"metadata": {"name": "p"}, "status": {"containerStatuses": [ended], **status}}


@pytest.mark.parametrize(
    ("pods", "message"),
    [
        ([failed_pod("Killed", 137)], "Pod p ended with exit code 137 and no verdict: Killed."),
        (
            [failed_pod("", 137, reason="Evicted", message="The node was low on memory. ")],
            "Pod p was ended by its node (Evicted): The node was low on memory.",
        ),
        (
            [{"metadata": {"name": "p"}, "status": {"reason": "OutOfcpu", "message": "no room"}}],
            "Pod p was ended by its node (OutOfcpu): no room.",
        ),
        ([], "Job pizza-verify-v2-a ended without a verdict: it was too late."),
    ],
)
def test_the_reason_of_a_missing_verdict_is_reported(pods: list[dict[str, Any]], message: str) -> None:
    failed = {"type": "Failed", "status": "True", "message": "it was too late"}
    job = {"metadata": {"name": "pizza-verify-v2-a"}, "status": {"conditions": [failed]}}
    told = verification_verdict.verdict(job, pods)
    assert told is not None
    assert not told.conclusive
    assert told.message == message


def test_a_verdict_stands_even_when_the_pod_was_evicted_after_it() -> None:
    text = json.dumps({"passed": True, "message": ""})
    told = verification_verdict.verdict(
        {"metadata": {"name": "j"}}, [failed_pod(text, 0, reason="Evicted", message="late")]
    )
    assert told is not None
    assert told.passed


def described(version: int, **changed: Any) -> api.ImageClassifier:
    return api.parse(
        {
            "metadata": {"name": "pizza", "namespace": "food", "uid": "u", "generation": 1},
            "spec": {
                "model": {"version": version, "source": {"image": {"reference": "pizza:{version}"}}},
                **LEGACY,
                **changed,
            },
        }
    )


def test_the_plan_contains_the_contracts_of_both_versions_without_their_own() -> None:
    """Or the classes of two models that do not describe themselves could not be compared."""
    one = described(1).candidate("tf")
    ic = described(2, classes=[{"name": "night"}, {"name": "day"}])
    plan = json.loads(verification_plan.plan(ic, ic.candidate("tf"), one))
    classes = {
        role: [c["name"] for c in plan[role]["contract"]["classes"]] for role in ("serving", "candidate")
    }
    assert classes == {"serving": ["dark", "light"], "candidate": ["night", "day"]}
