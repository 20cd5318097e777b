"""A spec that is invalid or wrong during a rollout, and corrected then, on a real API server."""

import pytest

from imageclassifier_operator.observe.types import Counters
from operator_process import Bench

pytestmark = pytest.mark.apiserver


INVALID = {"serving": {"batching": {"maxBatchSize": 8}, "resources": {"limits": {"cpu": "2Ki"}}}}
"""A quantity for the API server, and no number of cores."""


def start_canary_and_break_the_spec(serving: Bench) -> None:
    rollout = {"steps": [{"percent": 20, "durationSeconds": 600}], "minRequests": 20}
    serving.patch({"spec": {"rollout": rollout}})
    serving.bump(2)
    serving.verify(2)
    serving.wait_phase("Shift")
    serving.patch({"spec": INVALID})
    serving.wait(lambda: serving.condition("Ready").get("reason") == "InvalidSpec", "the invalid spec")


def test_a_candidate_that_fails_is_rolled_back_although_the_spec_is_invalid(serving: Bench) -> None:
    start_canary_and_break_the_spec(serving)
    before = serving.deployments().keys()
    serving.gateways.counters = {2: Counters(1000, 1000, {"+Inf": 1000})}
    serving.wait(lambda: serving.status().get("failedVersions"), "the failure in the status")
    assert serving.condition("Progressing")["reason"] == "InvalidSpec"
    assert {each["version"]: each["percent"] for each in serving.routing()["versions"]} == {1: 100}
    assert serving.deployments().keys() == before, "children wait for a valid spec"
    serving.patch({"spec": {"serving": None, "model": {"version": 1}}})
    serving.wait_ready(1)
    serving.wait(lambda: "pizza-serving-v2" not in serving.deployments(), "version 2 to be removed")


def test_a_candidate_that_does_well_gets_no_larger_share_while_the_spec_is_invalid(serving: Bench) -> None:
    start_canary_and_break_the_spec(serving)
    revision = serving.routing()["revision"]
    serving.patch({"spec": {"rollout": {"steps": [{"percent": 20, "durationSeconds": 1}]}}})
    serving.gateways.counters = {
        1: Counters(9000, 0, {"+Inf": 9000}),
        2: Counters(2000, 0, {"+Inf": 2000}),
    }
    serving.wait_reconciled(4)
    assert (serving.status()["phase"], serving.routing()["revision"]) == ("Shift", revision)
    serving.patch({"spec": {"serving": None}})
    serving.wait_ready(2)


def break_pods(serving: Bench, version: int) -> None:
    """The state of a model server that was killed for its memory."""
    ended = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    status = {
        "conditions": [{"type": "Ready", "status": "False"}],
        "containerStatuses": [
            {
                "name": "model-server",
                "image": "tf",
                "imageID": "",
                "ready": False,
                "restartCount": 1,
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": ended,
            }
        ],
    }
    for pod in serving.pods("serving"):
        if pod["metadata"]["labels"]["imageclassifier.dev/version"] == str(version):
            path = f"/api/v1/namespaces/{serving.namespace}/pods/{pod['metadata']['name']}/status"
            merge = "application/merge-patch+json"
            serving.apiserver.request("PATCH", path, {"status": status}, merge)


def test_a_broken_version_can_be_fixed_while_its_broken_pods_still_exist(bench: Bench) -> None:
    bench.create(1, rollout={"keepPreviousSeconds": 0}, gateway={"timeoutSeconds": 20})
    bench.verify(1)
    bench.wait_ready(1)
    bench.bump(2)
    bench.wait(lambda: "pizza-serving-v2" in bench.deployments(), "the Deployment of version 2")
    bench.wait(lambda: len(bench.pods("serving")) > 1, "the pods of version 2")
    break_pods(bench, 2)
    bench.wait(lambda: bench.status().get("failedVersions"), "version 2 to be rolled back")
    assert bench.condition("Progressing")["reason"] == "OutOfMemory"
    assert "pizza-serving-v2" in bench.deployments()  # a gateway may still have requests under way
    before = {pod["metadata"]["name"] for pod in bench.pods("verify")}
    bench.patch({"spec": {"serving": {"resources": {"limits": {"memory": "4Gi"}}}}})
    bench.wait(
        lambda: before.isdisjoint(pod["metadata"]["name"] for pod in bench.pods("verify")),
        "the verification of before to be removed",
    )
    bench.verify(2)
    bench.wait_ready(2)
    assert len(bench.status()["failedVersions"]) == 1


def test_a_candidate_that_is_corrected_during_its_rollout_keeps_its_pods_while_they_get_requests(
    serving: Bench,
) -> None:
    """Its new pods have passed no verification."""
    serving.patch({"spec": {"rollout": {"steps": [{"percent": 50, "durationSeconds": 600}]}}})
    serving.bump(2)
    serving.verify(2)
    serving.wait(lambda: serving.status().get("candidatePercent") == 50, "the first step")

    def hash_of_2() -> str:
        annotations = serving.deployments()["pizza-serving-v2"]["metadata"]["annotations"]
        return str(annotations["imageclassifier.dev/input-hash"])

    before, revision = hash_of_2(), serving.routing()["revision"]
    serving.gateways.deaf = True
    mended = {"image": {"reference": "pizza-model:mended-{version}"}}
    serving.patch({"spec": {"model": {"source": mended}}})
    serving.wait(lambda: serving.routing()["revision"] > revision, "the weight to be set to zero")
    serving.wait_reconciled(3)
    assert hash_of_2() == before
    serving.gateways.deaf = False
    serving.wait(lambda: hash_of_2() != before, "the corrected version to start")
