"""The plan of a verification Job, and the reasons for a missing verdict."""

import json
from typing import Any

import pytest

from imageclassifier_operator import api, render
from imageclassifier_operator.api import names
from imageclassifier_operator.observe import verification_verdict
from imageclassifier_operator.render import verification_plan
from imageclassifier_operator.render.verification import MAX_PLAN_ANNOTATION_BYTES

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
def test_the_reason_of_a_missing_result_is_reported(pods: list[dict[str, Any]], message: str) -> None:
    failed = {"type": "Failed", "status": "True", "message": "it was too late"}
    job = {"metadata": {"name": "pizza-verify-v2-a"}, "status": {"conditions": [failed]}}
    told = verification_verdict.verdict(job, pods)
    assert told is not None
    assert not told.conclusive
    assert told.message == message


def test_a_verification_result_stays_valid_when_the_pod_is_evicted_afterwards() -> None:
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
    """Otherwise the classes of two models without a contract could not be compared."""
    one = described(1).candidate("tf")
    ic = described(2, classes=[{"name": "night"}, {"name": "day"}])
    plan = json.loads(verification_plan.plan(ic, ic.candidate("tf"), one))
    classes = {
        role: [c["name"] for c in plan[role]["contract"]["classes"]] for role in ("serving", "candidate")
    }
    assert classes == {"serving": ["dark", "light"], "candidate": ["night", "day"]}


def test_a_short_plan_is_in_the_pod_and_a_long_one_in_a_config_map() -> None:
    """Both are mounted at the same path."""
    ic, installation = described(2), render.Installation("gateway", "default")
    version = ic.candidate("tf")

    def rendered(plan: str) -> tuple[list[str], dict[str, Any]]:
        children = render.verify_job(ic, version, plan, "attempt", installation)
        pod = children[-1]["spec"]["template"]
        volume = next(volume for volume in pod["spec"]["volumes"] if volume["name"] == "plan")
        assert "/etc/imageclassifier/verify/plan.json" in pod["spec"]["containers"][0]["args"]
        return [child["kind"] for child in children], {**pod["metadata"].get("annotations", {}), **volume}

    kinds, short = rendered('{"a": 1}')
    assert (kinds, short[names.ANNOTATION_PLAN]) == (["Job"], '{"a": 1}')
    assert short["downwardAPI"]["items"][0]["path"] == "plan.json"
    kinds, long = rendered("x" * (MAX_PLAN_ANNOTATION_BYTES + 1))
    assert kinds == ["ConfigMap", "Job"]
    assert long["configMap"] == {"name": "pizza-verify-v2-attempt"}
    assert names.ANNOTATION_PLAN not in long
