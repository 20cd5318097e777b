"""An HTTPRoute of the Gateway API, in a cluster that gets its CRD late, on a real API server."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bare_apiserver import ControlPlane
from bare_apiserver.programs import find_programs
from operator_process import Bench, PlayedGateways, RunningOperator, install_crd

pytestmark = pytest.mark.apiserver

CRD = Path(__file__).parents[1] / "support/gateway_api_httproutes.json"
"""From config/crd/standard of sigs.k8s.io/gateway-api v1.4.0 (Apache License 2.0), without descriptions."""
ROUTES = "/apis/gateway.networking.k8s.io/v1/namespaces/{}/httproutes"
ROUTE: dict[str, Any] = {
    "parentRefs": [{"name": "web", "namespace": "gateways", "sectionName": "https"}],
    "hostnames": ["pizza.example.org"],
    "scheme": "https",
    "annotations": {"a": "b"},
}


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """With an API server of its own, because it gets another CRD."""
    monkeypatch.setattr("imageclassifier_operator.runtime.reflector.MISSING_KIND_SECONDS", (0.5, 0.5))
    monkeypatch.setattr("imageclassifier_operator.reconcile.requeue.BLOCKED_RETRY_SECONDS", 0.5)
    with ControlPlane(find_programs()) as apiserver, apiserver.namespace() as namespace:
        apiserver.ensure_nodes(1)
        install_crd(apiserver)
        gateways = PlayedGateways(apiserver)
        with RunningOperator(apiserver.kubeconfig, gateways):
            yield Bench(apiserver, namespace, gateways)


def test_a_route_waits_for_its_kind_and_reports_what_gateways_say(bench: Bench) -> None:
    bench.create(1, gateway={"httpRoute": ROUTE, "service": {"port": 8080}})
    bench.verify(1)
    told = "The cluster has no HTTPRoute (gateway.networking.k8s.io/v1). Install the CRDs of the Gateway API"
    bench.wait(lambda: told in bench.condition("Ready").get("message", ""), "the missing kind")
    bench.wait(lambda: bench.condition("Available").get("status") == "True", "requests to be answered")

    bench.apiserver.kubectl("apply", "--server-side", "-f", str(CRD))
    bench.apiserver.wait_until_established("httproutes.gateway.networking.k8s.io")
    bench.wait_ready(1)
    route = bench.get(f"{ROUTES}/pizza-gateway")
    assert route["spec"]["hostnames"] == ["pizza.example.org"]
    assert route["spec"]["parentRefs"][0].items() >= ROUTE["parentRefs"][0].items()
    [backend] = route["spec"]["rules"][0]["backendRefs"]
    assert (backend["name"], backend["port"]) == ("pizza-gateway", 8080)
    assert route["metadata"]["annotations"]["a"] == "b"
    assert bench.status()["url"] == "https://pizza.example.org/"
    bench.wait(
        lambda: "No Gateway has taken" in bench.condition("Ready")["message"], "the wait for a Gateway"
    )

    accepted = {
        "type": "Accepted",
        "status": "True",
        "reason": "Accepted",
        "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    refused = {
        **accepted,
        "status": "False",
        "reason": "NoMatchingListenerHostname",
        "message": "no listener",
    }
    for condition, message in (
        (refused, "Gateway web does not route to HTTPRoute pizza-gateway (NoMatchingListenerHostname): no"),
        (accepted, "Version 1 is fully rolled out."),
    ):
        parent = {
            "parentRef": ROUTE["parentRefs"][0],
            "controllerName": "example.org/a",
            "conditions": [condition],
        }
        path = f"{ROUTES}/pizza-gateway/status".format(bench.namespace)
        merge = "application/merge-patch+json"
        bench.apiserver.request("PATCH", path, {"status": {"parents": [parent]}}, merge)
        bench.wait(lambda m=message: m in bench.condition("Ready")["message"], message)
    rolled_out = "Version 1 is fully rolled out."
    bench.wait(lambda: bench.condition("Ready")["message"] == rolled_out, "the message without a hint")

    # Somebody's edit is undone, a change of the spec is written, and without the field the route goes.
    bench.apiserver.request(
        "PATCH", f"{ROUTES}/pizza-gateway".format(bench.namespace), {"spec": {"hostnames": ["x.org"]}}, merge
    )
    bench.wait(
        lambda: bench.get(f"{ROUTES}/pizza-gateway")["spec"]["hostnames"] == ["pizza.example.org"],
        "the repair",
    )
    bench.patch({"spec": {"gateway": {"httpRoute": {"hostnames": None}}}})
    bench.wait(lambda: "hostnames" not in bench.get(f"{ROUTES}/pizza-gateway")["spec"], "the change")

    header = {"set": [{"name": "x-team", "value": "food"}]}
    filters = [{"type": "RequestHeaderModifier", "requestHeaderModifier": header}]
    bench.patch({"spec": {"gateway": {"httpRoute": {"pathPrefix": "/pizza", "filters": filters}}}})
    bench.wait(lambda: len(bench.get(f"{ROUTES}/pizza-gateway")["spec"]["rules"]) == 2, "the path prefix")
    bench.wait_ready(1)
    written = bench.get(f"{ROUTES}/pizza-gateway")
    redirect, below = written["spec"]["rules"]
    assert redirect["matches"] == [{"path": {"type": "Exact", "value": "/pizza"}}]
    assert redirect.get("backendRefs") is None
    assert [each["type"] for each in below["filters"]] == ["URLRewrite", "RequestHeaderModifier"]
    assert bench.get(f"{ROUTES}/pizza-gateway") == written, "defaults of the API cause no further write"

    wrong = [{"type": "RequestHeaderModifier", "requestHeaderModifier": {"add": "x"}}]
    bench.patch({"spec": {"gateway": {"httpRoute": {"filters": wrong}}}})
    bench.wait(lambda: bench.condition("Ready").get("reason") == "ApiRefused", "the refusal of a filter")
    assert "requestHeaderModifier" in bench.condition("Ready")["message"]
    bench.patch({"spec": {"gateway": {"httpRoute": None}}})
    bench.wait(lambda: bench.get(ROUTES)["items"] == [], "the route to go")
    bench.wait_ready(1)
    assert json.dumps(bench.status()).count("httpRoute") == 0
