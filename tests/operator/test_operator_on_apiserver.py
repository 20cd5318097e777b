"""The operator against a real API server with fake pods: what it writes, how often, and how it repairs."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from imageclassifier_operator.api import names
from imageclassifier_operator.observe import gateway_health
from imageclassifier_operator.observe.types import Counters, ShadowReport
from imageclassifier_operator.reconcile import status_writer
from operator_process import CLASSIFIERS, REFUSED, Bench, PlayedGateways

pytestmark = pytest.mark.apiserver


@pytest.fixture
def bench(apiserver: Any, namespace: str, gateways: PlayedGateways) -> Iterator[Bench]:
    gateways.deaf, gateways.unreachable = False, False
    gateways.counters, gateways.shadow, gateways.errors = {}, None, {}
    yield Bench(apiserver, namespace, gateways)
    apiserver.request("DELETE", CLASSIFIERS.format(namespace))


@pytest.fixture
def serving(bench: Bench) -> Bench:
    """Version 1 serves; an old version is removed as soon as it can have no requests."""
    bench.create(1, rollout={"keepPreviousSeconds": 0}, gateway={"timeoutSeconds": 1})
    bench.verify(1)
    bench.wait_ready(1)
    return bench


def writes_of_operator(bench: Bench, mark: int) -> list[Any]:
    return [
        event
        for event in bench.apiserver.audit_events(since=mark)
        if event.is_write
        and bench.namespace == event.namespace
        and event.field_manager.startswith("imageclassifier-operator")
    ]


def without_times(status: Any) -> Any:
    """The content of a status: a write that changes only a time has told nothing new."""
    if isinstance(status, list):
        return [without_times(each) for each in status]
    if isinstance(status, dict):
        times = ("lastTransitionTime", "time")
        return {key: without_times(value) for key, value in status.items() if key not in times}
    return status


def test_from_nothing_to_ready_every_child_is_written_once_and_no_status_twice(bench: Bench) -> None:
    """Their number depends on the machine: what changes within a moment is written together."""
    since = bench.get(CLASSIFIERS)["metadata"]["resourceVersion"]
    mark = bench.apiserver.audit_mark()
    bench.create(1)
    bench.verify(1)
    bench.wait_ready(1)
    written, status = Counter[tuple[str, str, str]](), ("imageclassifiers", "status", "pizza")
    for event in writes_of_operator(bench, mark):
        target = (event.resource, event.subresource, event.name)
        # A refused status is written again, from what changed meanwhile.
        if event.resource != "pods" and (target != status or event.status_code < 300):
            written[target] += 1
    status_writes = written.pop(status)
    states = [state["status"] for state in bench.changes(CLASSIFIERS, "pizza", since) if "status" in state]
    told = [json.dumps(without_times(each), sort_keys=True) for each in states]
    # In a first rollout everything only advances, so no status comes back.
    assert len(told) == len(set(told))
    assert status_writes <= len(told), "a write changed nothing"
    assert len(written) >= 10
    assert set(written.values()) == {1}


@pytest.fixture
def no_status_lag(monkeypatch: pytest.MonkeyPatch) -> None:
    """No figure waits to be written, so that a reconciliation that writes nothing has nothing to write."""
    monkeypatch.setattr(status_writer, "STATUS_LAG_SECONDS", 0.0)


def test_at_rest_nothing_is_written(no_status_lag: None, serving: Bench) -> None:

    def nothing_follows() -> bool:  # the last figures may still come
        mark = serving.apiserver.audit_mark()
        for note in range(3):
            serving.wake_operator(f"before {note}")
        return writes_of_operator(serving, mark) == []

    serving.wait(
        lambda: serving.deployments()["pizza-gateway"]["status"].get("availableReplicas") == 2,
        "both gateways",
    )
    serving.wait(nothing_follows, "the last figures to be written")
    mark = serving.apiserver.audit_mark()
    for note in range(3):
        serving.wake_operator(f"at rest {note}")
    assert writes_of_operator(serving, mark) == []


def test_a_network_policy_that_somebody_opened_is_closed_again(serving: Bench) -> None:
    path = f"/apis/networking.k8s.io/v1/namespaces/{serving.namespace}/networkpolicies/pizza-serving"
    before = serving.get(path)["spec"]
    port = {"port": 22, "protocol": "TCP"}
    for opened in (
        {"egress": [{}]},
        {"ingress": [{}]},
        {"ingress": [{**before["ingress"][0], "ports": [*before["ingress"][0]["ports"], port]}]},
    ):
        serving.apiserver.request("PATCH", path, {"spec": opened}, "application/merge-patch+json")
        serving.wait(lambda: serving.get(path)["spec"] == before, f"{opened} to be reverted")


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


def test_a_deleted_or_edited_child_is_restored(serving: Bench) -> None:
    path = f"/api/v1/namespaces/{serving.namespace}/services/pizza-gateway"
    uid = serving.get(path)["metadata"]["uid"]
    serving.apiserver.request("DELETE", path)

    def is_back() -> bool:
        items = serving.get("/api/v1/namespaces/{}/services")["items"]
        return any(s["metadata"]["name"] == "pizza-gateway" and s["metadata"]["uid"] != uid for s in items)

    serving.wait(is_back, "the gateway's Service to be back")
    path = f"/apis/apps/v1/namespaces/{serving.namespace}/deployments/pizza-gateway"
    container = {"name": "gateway", "image": "evil:1"}
    serving.apiserver.request(
        "PATCH",
        path,
        {"spec": {"replicas": 5, "paused": True, "template": {"spec": {"containers": [container]}}}},
        content_type="application/strategic-merge-patch+json",
    )

    def is_restored() -> bool:
        spec = serving.get(path)["spec"]
        image = spec["template"]["spec"]["containers"][0]["image"]
        return spec["replicas"] == 2 and not spec.get("paused") and image == "gateway:test"

    serving.wait(is_restored, "the gateway's Deployment to be as it was")


@pytest.mark.parametrize("service", ["pizza-gateway", "pizza-serving-v1"])
def test_a_service_whose_selector_was_narrowed_selects_its_pods_again(serving: Bench, service: str) -> None:
    path = f"/api/v1/namespaces/{serving.namespace}/services/{service}"
    selector = serving.get(path)["spec"]["selector"]
    serving.apiserver.request(
        "PATCH", path, {"spec": {"selector": {"foo": "bar"}}}, "application/merge-patch+json"
    )
    serving.wait(lambda: serving.get(path)["spec"]["selector"] == selector, "the selector to be as it was")


@pytest.mark.parametrize("name", ["pizza-gateway", "pizza-serving-v1"])
@pytest.mark.parametrize(
    "opened",
    [
        {"selector": {names.LABEL_INSTANCE: "evil"}},
        {"selector": {names.LABEL_NAME: None, names.LABEL_INSTANCE: None, names.LABEL_COMPONENT: None}},
        {"externalIPs": ["192.0.2.1"]},
        {"publishNotReadyAddresses": True},
        {"ports": [{"name": "more", "port": 9999, "targetPort": "internal"}]},
    ],
)
def test_a_service_that_somebody_opened_or_retargeted_is_as_it_was(
    serving: Bench, name: str, opened: dict[str, Any]
) -> None:
    path = f"/api/v1/namespaces/{serving.namespace}/services/{name}"
    before = serving.get(path)["spec"]
    kind = "application/strategic-merge-patch+json"  # ports are added, not replaced
    changed = serving.apiserver.request("PATCH", path, {"spec": opened}, kind)["spec"]
    assert changed != before
    serving.wait(lambda: serving.get(path)["spec"] == before, f"{opened} to be reverted")


ROOT = {"runAsNonRoot": False, "runAsUser": 0}


@pytest.mark.parametrize("name", ["pizza-gateway", "pizza-serving-v1"])
@pytest.mark.parametrize(
    ("of_pod", "of_container"),
    [
        ({"securityContext": ROOT}, {}),
        ({"securityContext": None}, {}),
        ({"securityContext": {"sysctls": [{"name": "net.ipv4.tcp_syncookies", "value": "0"}]}}, {}),
        ({"hostNetwork": True, "hostPID": True}, {}),
        ({"automountServiceAccountToken": True}, {}),
        ({}, {"securityContext": ROOT}),
        ({}, {"securityContext": {"capabilities": {"add": ["NET_ADMIN"]}}}),
        ({}, {"securityContext": {"allowPrivilegeEscalation": True, "privileged": True}}),
    ],
)
def test_a_deployment_whose_security_somebody_loosened_is_as_it_was(
    serving: Bench, name: str, of_pod: dict[str, Any], of_container: dict[str, Any]
) -> None:
    path = f"/apis/apps/v1/namespaces/{serving.namespace}/deployments/{name}"
    before = serving.get(path)["spec"]
    container = before["template"]["spec"]["containers"][0]["name"]
    pod = {**of_pod, "containers": [{"name": container, **of_container}]}
    kind = "application/strategic-merge-patch+json"
    loosened = {"spec": {"template": {"spec": pod}}}
    assert serving.apiserver.request("PATCH", path, loosened, kind)["spec"] != before
    serving.wait(lambda: serving.get(path)["spec"] == before, f"{loosened} to be reverted")


def test_an_injected_container_is_left_alone(serving: Bench) -> None:
    path = f"/apis/apps/v1/namespaces/{serving.namespace}/deployments/pizza-gateway"
    injected = {"name": "sidecar", "image": "proxy:1", "securityContext": {"runAsUser": 1337}}
    kind = "application/strategic-merge-patch+json"
    body = {"spec": {"template": {"spec": {"containers": [injected]}}}}
    serving.apiserver.request("PATCH", path, body, kind)
    serving.patch({"spec": {"gateway": {"replicas": 3}}})
    serving.wait(lambda: serving.get(path)["spec"]["replicas"] == 3, "the next write of the Deployment")
    containers = serving.get(path)["spec"]["template"]["spec"]["containers"]
    assert {each["name"] for each in containers} == {"gateway", "sidecar"}


def test_a_field_that_was_created_is_removed_when_the_spec_no_longer_has_it(bench: Bench) -> None:
    bench.create(1, gateway={"service": {"annotations": {"first": "1", "second": "2"}}})

    def annotations() -> dict[str, str]:
        services = {s["metadata"]["name"]: s for s in bench.get("/api/v1/namespaces/{}/services")["items"]}
        found: dict[str, str] = services.get("pizza-gateway", {}).get("metadata", {}).get("annotations", {})
        return {name: value for name, value in found.items() if "/" not in name}

    bench.wait(lambda: annotations() == {"first": "1", "second": "2"}, "the Service")
    bench.patch({"spec": {"gateway": {"service": {"annotations": {"first": None}}}}})
    bench.wait(lambda: annotations() == {"second": "2"}, "the first annotation to be gone")
    bench.patch({"spec": {"gateway": {"service": {"annotations": {"third": "3"}}}}})
    bench.wait(lambda: annotations() == {"second": "2", "third": "3"}, "another annotation")
    bench.patch({"spec": {"gateway": {"service": {"annotations": None}}}})
    bench.wait(lambda: annotations() == {}, "all annotations to be gone")


def test_a_foreign_object_of_our_name_is_left_alone(bench: Bench) -> None:
    body = {"metadata": {"name": "pizza-gateway"}, "spec": {"ports": [{"port": 1}], "selector": {"a": "b"}}}
    path = f"/api/v1/namespaces/{bench.namespace}/services"
    bench.apiserver.request("POST", path, body)
    bench.create(1)
    bench.wait(lambda: bench.condition("Ready").get("reason") == "Conflict", "the conflict to be told")
    assert "Service pizza-gateway" in bench.condition("Ready")["message"]
    assert "already exists and has no owner" in bench.condition("Ready")["message"]
    assert bench.get(f"{path}/pizza-gateway")["spec"]["selector"] == {"a": "b"}


def test_a_deleted_routing_config_map_is_recreated_with_a_new_revision(serving: Bench) -> None:
    before = serving.routing()
    path = f"/api/v1/namespaces/{serving.namespace}/configmaps"
    serving.apiserver.request("DELETE", f"{path}/pizza-routing")

    def is_back() -> bool:
        return any(c["metadata"]["name"] == "pizza-routing" for c in serving.get(path)["items"])

    serving.wait(is_back, "the routing ConfigMap to be back")
    after = serving.routing()
    assert after["revision"] > before["revision"]
    assert after["versions"] == before["versions"]


def test_a_deleted_classifier_leaves_nothing(serving: Bench) -> None:
    serving.apiserver.request("DELETE", f"{CLASSIFIERS.format(serving.namespace)}/pizza")
    for resource in ("apis/apps/v1/namespaces/{}/deployments", "apis/batch/v1/namespaces/{}/jobs"):
        serving.wait(lambda r=resource: serving.get(f"/{r}")["items"] == [], f"no {resource}")
    serving.wait(
        lambda: (
            [
                c
                for c in serving.get("/api/v1/namespaces/{}/configmaps")["items"]
                if c["metadata"]["name"] != "kube-root-ca.crt"
            ]
            == []
        ),
        "no ConfigMaps",
    )


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


def test_a_serving_version_that_its_gateways_cannot_use_is_not_available_until_they_can(
    serving: Bench,
) -> None:
    serving.gateways.errors = {1: "The model has no contract"}
    serving.patch({"spec": {"replicas": 2}})
    serving.wait(
        lambda: serving.condition("Available").get("reason") == "VersionUnusable", "the gateways' complaint"
    )
    assert "cannot use version 1: The model has no contract" in serving.condition("Available")["message"]
    assert serving.condition("Ready")["status"] == serving.condition("GatewayReady")["status"] == "False"
    serving.gateways.errors = {}
    serving.wait_ready(1)


def test_a_connection_that_breaks_between_pods_at_rest_is_in_the_status(
    serving: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For example, DNS fails or a network policy blocks: no object changes, and the probes detect it."""
    monkeypatch.setattr(gateway_health, "PROBE_SECONDS", 2.0)
    serving.patch({"spec": {"gateway": {"replicas": 1}}})
    serving.wait(lambda: len(serving.pods("gateway")) == 1, "one gateway")
    serving.wait_ready(1)
    serving.gateways.errors = {1: "DNS resolution failed"}
    serving.wait(lambda: serving.condition("Available").get("status") == "False", "the error in the status")
    assert serving.condition("Available")["reason"] == "VersionUnusable"
    serving.gateways.errors = {}
    serving.wait_ready(1)


def test_a_status_is_unknown_while_the_operator_cannot_reach_the_gateways(
    serving: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_health, "PROBE_SECONDS", 2.0)
    serving.patch({"metadata": {"labels": {"look": "again"}}})
    serving.wait_ready(1)
    serving.gateways.unreachable = True
    try:
        serving.wait(lambda: serving.condition("Ready").get("status") == "Unknown", "Ready to be Unknown")
        assert serving.condition("Ready")["reason"] == "GatewaysNotObserved"
        assert serving.condition("Available")["status"] == "Unknown"
        assert serving.condition("PredictorReady")["status"] == "True"
    finally:
        serving.gateways.unreachable = False
    serving.wait_ready(1)


def test_a_deployment_that_lost_its_label_is_seen_again_once_it_has_it_back(serving: Bench) -> None:
    path = f"/apis/apps/v1/namespaces/{serving.namespace}/deployments/pizza-serving-v1"

    def label() -> str:
        labels: dict[str, str] = serving.apiserver.request("GET", path)["metadata"]["labels"]
        return labels[names.LABEL_MANAGED_BY]

    lost = {"metadata": {"labels": {names.LABEL_MANAGED_BY: "somebody"}}}
    serving.apiserver.request("PATCH", path, lost, content_type="application/merge-patch+json")
    serving.wait(lambda: label() == names.MANAGER, "the label to be restored")
    serving.patch({"spec": {"replicas": 2}})
    serving.wait(lambda: serving.status().get("readyReplicas") == 2, "both pods in the status")
    serving.wait_ready(1)


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


def test_a_webhook_that_does_not_answer_is_reported_until_it_answers(bench: Bench) -> None:
    """An unrelated admission webhook is down: the API server responds to each write with 500."""
    path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
    webhook = {
        "name": "budgets.example.org",
        "clientConfig": {"url": "https://127.0.0.1:9/"},
        "rules": [
            {
                "apiGroups": ["policy"],
                "apiVersions": ["v1"],
                "operations": ["CREATE", "UPDATE"],
                "resources": ["poddisruptionbudgets"],
            }
        ],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": bench.namespace}},
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Fail",
    }
    name = f"down-{bench.namespace}"
    bench.apiserver.request("POST", path, {"metadata": {"name": name}, "webhooks": [webhook]})
    try:
        bench.create(1)
        bench.wait(lambda: bench.condition("Ready").get("reason") == "ApiRefused", "the status to tell it")
        said = bench.condition("Ready")["message"]
        assert "failed calling webhook" in said
        assert "budgets.example.org" in said
    finally:
        bench.apiserver.request("DELETE", f"{path}/{name}")
    bench.verify(1)
    bench.wait_ready(1)


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


def test_a_stopped_classifier_runs_no_pods_and_serves_the_same_version_again(serving: Bench) -> None:
    serving.patch({"spec": {"stopped": True}})
    serving.wait(lambda: not serving.pods("serving") and not serving.pods("gateway"), "all pods to end")
    serving.wait(lambda: serving.status().get("replicas") == 0, "the status to have no replicas")
    conditions = {each["type"]: (each["status"], each["reason"]) for each in serving.status()["conditions"]}
    assert conditions["Ready"] == conditions["Available"] == ("False", "Stopped")
    assert not conditions.keys() & {"Stalled", "Reconciling"}
    assert serving.status()["servingVersion"] == 1
    serving.patch({"spec": {"stopped": False}})
    serving.wait_ready(1)
    assert [entry["verdict"] for entry in serving.status()["history"]] == ["Promoted"]
