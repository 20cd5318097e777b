"""The operator restores children that somebody changed, on a real API server."""

from typing import Any

import pytest

from imageclassifier_operator.api import names
from operator_process import Bench

pytestmark = pytest.mark.apiserver


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
