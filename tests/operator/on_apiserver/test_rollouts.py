"""Rollouts on a real API server with fake pods: traffic moves, failing versions are rolled back."""

import json

import pytest

from imageclassifier_operator.api import names
from imageclassifier_operator.observe.types import Counters, ShadowReport
from operator_process import REFUSED, Bench

pytestmark = pytest.mark.apiserver


def test_a_bump_moves_all_traffic_and_removes_the_old_version(serving: Bench) -> None:
    serving.bump(2)
    serving.wait(lambda: "pizza-serving-v2" in serving.deployments(), "the Deployment of version 2")
    assert "pizza-serving-v1" in serving.deployments()
    assert serving.routing()["serving"] == 1
    serving.verify(2)
    serving.wait_ready(2)
    assert [v for v in serving.routing()["versions"] if v["percent"]] == [
        {"version": 2, "target": f"dns:///pizza-serving-v2.{serving.namespace}.svc:8500", "percent": 100}
    ]
    serving.wait(lambda: "pizza-serving-v1" not in serving.deployments(), "version 1 to be removed")
    serving.wait_phase("Stable")


def test_a_refused_version_never_gets_traffic_and_is_not_retried(serving: Bench) -> None:
    serving.bump(2)
    serving.verify(2, REFUSED)
    serving.wait(lambda: serving.status().get("failedVersions"), "the refusal in the status")
    assert serving.condition("Available")["status"] == "True"
    assert serving.condition("Ready")["reason"] == "AcceptanceFailed"
    assert "the salad is no pizza" in serving.condition("Progressing")["message"]
    serving.wait(lambda: "pizza-serving-v2" not in serving.deployments(), "version 2 to be removed")
    serving.wait_phase("Stable")
    assert serving.routing()["versions"][0]["percent"] == 100
    serving.patch({"spec": {"replicas": 2}})
    serving.wait(
        lambda: serving.deployments()["pizza-serving-v1"]["spec"]["replicas"] == 2, "version 1 to be scaled"
    )
    assert "pizza-serving-v2" not in serving.deployments()
    serving.patch({"metadata": {"annotations": {"imageclassifier.dev/retry": "1"}}})
    serving.wait(lambda: "pizza-serving-v2" in serving.deployments(), "the second try")


def test_a_rollout_in_steps_waits_for_requests_and_rolls_back_a_failing_version(bench: Bench) -> None:
    bench.create(1, rollout={"steps": [{"percent": 10, "durationSeconds": 1}], "minRequests": 10})
    bench.verify(1)
    bench.wait_ready(1)
    bench.bump(2)
    bench.verify(2)
    bench.wait(lambda: bench.status().get("candidatePercent") == 10, "the first step")
    bench.gateways.counters = {1: Counters(90, 0, {"+Inf": 90}), 2: Counters(10, 5, {"+Inf": 10})}
    bench.wait(lambda: bench.status().get("failedVersions"), "version 2 to be rolled back")
    assert bench.condition("Progressing")["reason"] == "TooManyErrors"
    assert bench.routing()["serving"] == 1
    assert [v["version"] for v in bench.routing()["versions"]] == [1]


def half_way(serving: Bench) -> Bench:
    """Version 2 gets half of the requests, and stays there until the analysis passes."""
    rollout = {"keepPreviousSeconds": 0, "minRequests": 10, "steps": [{"percent": 50, "durationSeconds": 1}]}
    serving.patch({"spec": {"rollout": rollout}})
    serving.bump(2)
    serving.verify(2)
    serving.wait(lambda: serving.status().get("candidatePercent") == 50, "the first step")
    return serving


def replicas(bench: Bench) -> dict[str, int]:
    return {name: deployment["spec"]["replicas"] for name, deployment in bench.deployments().items()}


def test_scaling_and_changing_the_gateway_during_a_rollout_do_not_change_its_step(
    serving: Bench,
) -> None:
    half_way(serving)
    serving.patch({"spec": {"replicas": 2, "gateway": {"replicas": 3, "maxImageBytes": 1_000_000}}})
    scaled = {"pizza-serving-v1": 2, "pizza-serving-v2": 2, "pizza-gateway": 3}
    serving.wait(lambda: replicas(serving) == scaled, "both versions and the gateway to be scaled")
    serving.wait(lambda: len(serving.pods("gateway")) == 3, "the gateways to be replaced")
    assert [entry["percent"] for entry in serving.routing()["versions"]] == [50, 50]
    serving.gateways.counters = {version: Counters(600, 0, {"+Inf": 600}) for version in (1, 2)}
    serving.wait_ready(2)
    serving.wait(lambda: "pizza-serving-v1" not in serving.deployments(), "version 1 to be removed")
    assert replicas(serving) == {"pizza-serving-v2": 2, "pizza-gateway": 3}
    assert serving.status().get("failedVersions", []) == []


def test_no_version_loses_pods_before_the_rollout_has_ended(serving: Bench) -> None:
    path = f"/apis/autoscaling/v2/namespaces/{serving.namespace}/horizontalpodautoscalers/pizza"

    def may_scale_down() -> bool:
        behavior = serving.get(path)["spec"].get("behavior", {})
        return behavior.get("scaleDown", {}).get("selectPolicy") != "Disabled"

    scaling = {"minReplicas": 1, "maxReplicas": 5}
    resources = {"requests": {"cpu": "10m"}}
    serving.patch({"spec": {"replicas": 3, "autoscaling": scaling, "serving": {"resources": resources}}})
    serving.wait(lambda: replicas(serving)["pizza-serving-v1"] == 3, "three pods")
    serving.wait_phase("Stable")
    half_way(serving)
    serving.wait(lambda: not may_scale_down(), "an autoscaler that removes no pods")
    serving.patch({"spec": {"replicas": 1, "gateway": {"replicas": 3}}})
    serving.wait(lambda: replicas(serving)["pizza-gateway"] == 3, "a reconciliation of the smaller number")
    assert replicas(serving) == {"pizza-serving-v1": 3, "pizza-serving-v2": 3, "pizza-gateway": 3}
    serving.bump(1)
    serving.wait_phase("Stable")
    serving.wait(lambda: replicas(serving) == {"pizza-serving-v1": 1, "pizza-gateway": 3}, "one pod")
    serving.wait(may_scale_down, "an autoscaler that removes pods again")


def test_returning_to_the_serving_version_aborts_the_rollout_without_a_failed_version(serving: Bench) -> None:
    half_way(serving)
    serving.bump(1)
    serving.wait_phase("Stable")
    serving.wait(lambda: "pizza-serving-v2" not in serving.deployments(), "version 2 to be removed")
    assert [(v["version"], v["percent"]) for v in serving.routing()["versions"]] == [(1, 100)]
    assert serving.status().get("failedVersions", []) == []
    assert serving.condition("Ready")["status"] == "True"


def test_acceptance_pictures_get_into_the_plan_of_the_verification(serving: Bench) -> None:
    picture = {"base64": "+/+/iVBORw0KGgo="}
    case = {"name": "margherita", "label": "pizza", "minProbabilityPercent": 80, "picture": picture}
    serving.patch({"spec": {"model": {"version": 2}, "rollout": {"acceptance": {"cases": [case]}}}})

    def plans() -> list[str]:
        return [
            pod["metadata"]["annotations"][names.ANNOTATION_PLAN]
            for pod in serving.pods("verify")
            if pod["metadata"]["name"].startswith("pizza-verify-v2-")
        ]

    serving.wait(plans, "the plan")
    plan = json.loads(plans()[0])
    assert plan["cases"] == [
        {"name": "margherita", "label": "pizza", "min_probability": 0.8, "picture": picture}
    ]
    assert plan["serving"]["version"] == 1
    assert plan["candidate"]["version"] == 2


def test_a_paused_rollout_waits_until_it_is_promoted(bench: Bench) -> None:
    bench.create(1)
    bench.verify(1)
    bench.wait_ready(1)
    bench.patch({"spec": {"rollout": {"paused": True}}})
    bench.bump(2)
    bench.verify(2)
    bench.wait(lambda: bench.condition("Progressing").get("reason") == "Paused", "the rollout to pause")
    assert bench.routing()["serving"] == 1
    bench.patch({"metadata": {"annotations": {"imageclassifier.dev/promote": "yes"}}})
    bench.wait(lambda: bench.routing()["serving"] == 2, "version 2 to be promoted")


def test_a_candidate_that_a_gateway_cannot_use_waits_for_it(serving: Bench) -> None:
    serving.gateways.errors = {2: "The model has no contract"}
    serving.bump(2)
    serving.verify(2)
    waits = "Version 2 passed verification and waits for the gateways: Gateway pod "
    serving.wait(lambda: serving.condition("Ready").get("message", "").startswith(waits), "what it waits for")
    assert ": The model has no contract. If this continues, look" in serving.condition("Ready")["message"]
    serving.gateways.errors = {}
    serving.wait_ready(2)


def test_a_shadow_version_is_promoted_only_when_it_agrees(bench: Bench) -> None:
    bench.create(1, rollout={"shadow": {"percent": 50, "minAgreementRate": "90%", "minCompared": 20}})
    bench.verify(1)
    bench.wait_ready(1)
    bench.bump(2)
    bench.verify(2)
    bench.wait(lambda: bench.routing().get("shadow") == {"version": 2, "percent": 50}, "the shadow")
    bench.gateways.shadow = ShadowReport(2, compared=20, agreed=2, confusion=(("pizza", "salad", 18),))
    bench.wait(lambda: bench.status().get("failedVersions"), "version 2 to be rolled back")
    assert bench.condition("Ready")["reason"] == "Disagrees"
    assert "salad instead of pizza" in bench.condition("Ready")["message"]
    assert bench.routing()["serving"] == 1
    assert "shadow" not in bench.routing()
