"""What the status reports while gateways or a webhook fail, on a real API server."""

import pytest

from imageclassifier_operator.observe import gateway_health
from operator_process import Bench

pytestmark = pytest.mark.apiserver


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
