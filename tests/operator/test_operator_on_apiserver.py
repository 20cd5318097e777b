"""The operator against a real API server, with fake pods: what it writes, how often, and how it repairs."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imageclassifier_operator import names
from operator_process import PlayedGateways, RunningOperator

pytestmark = pytest.mark.apiserver

CRD = Path(__file__).parents[2] / "crds" / "imageclassifiers.yaml"
CLASSIFIERS = "/apis/imageclassifier.dev/v1alpha1/namespaces/{}/imageclassifiers"
PASSED = json.dumps({"schema": 1, "passed": True, "reason": "", "message": "", "cases": []})
REFUSED = json.dumps(
    {"schema": 1, "passed": False, "reason": "AcceptanceFailed", "message": "the salad is no pizza"}
)


class Bench:
    """One namespace with the operator at work, and the few things that tests do there."""

    def __init__(self, apiserver: Any, namespace: str, gateways: PlayedGateways) -> None:
        self.apiserver, self.namespace, self.gateways = apiserver, namespace, gateways

    def create(self, version: int = 1, **spec: Any) -> None:
        body = {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "metadata": {"name": "pizza"},
            "spec": {"model": {"version": version, "image": "pizza-model:{version}"}, **spec},
        }
        self.apiserver.request("POST", CLASSIFIERS.format(self.namespace), body)

    def patch(self, body: dict[str, Any]) -> None:
        path = f"{CLASSIFIERS.format(self.namespace)}/pizza"
        self.apiserver.request("PATCH", path, body, content_type="application/merge-patch+json")

    def bump(self, version: int) -> None:
        self.patch({"spec": {"model": {"version": version}}})

    def get(self, path: str) -> Any:
        return self.apiserver.request("GET", path.format(self.namespace))

    def classifier(self) -> dict[str, Any]:
        return self.get(f"{CLASSIFIERS}/pizza")

    def status(self) -> dict[str, Any]:
        return self.classifier().get("status") or {}

    def condition(self, kind: str) -> dict[str, Any]:
        return next((c for c in self.status().get("conditions", ()) if c["type"] == kind), {})

    def routing(self) -> dict[str, Any]:
        config_map = self.get("/api/v1/namespaces/{}/configmaps/pizza-routing")
        return json.loads(config_map["data"]["routing.json"])

    def deployments(self) -> dict[str, dict[str, Any]]:
        return {
            d["metadata"]["name"]: d for d in self.get("/apis/apps/v1/namespaces/{}/deployments")["items"]
        }

    def pods(self, component: str) -> list[dict[str, Any]]:
        selector = f"labelSelector=app.kubernetes.io/component={component}"
        return self.get(f"/api/v1/namespaces/{{}}/pods?{selector}")["items"]

    def wait(self, condition: Any, what: str) -> None:
        def answer_verifications() -> bool:
            return bool(condition())

        try:
            self.apiserver.wait_for(answer_verifications, what, timeout_seconds=60)
        except TimeoutError:
            raise TimeoutError(f"waited for {what}; status: {json.dumps(self.status(), indent=1)}") from None

    def verify(self, version: int, message: str = PASSED) -> None:
        """The verification of a version ends with this verdict."""

        def running() -> list[dict[str, Any]]:
            return [
                pod
                for pod in self.pods("verify")
                if pod["metadata"]["labels"][names.LABEL_MODEL_VERSION] == str(version)
                and pod["status"].get("phase") == "Running"
            ]

        self.wait(running, f"the verification of version {version}")
        annotations = {
            "kwok.imageclassifier.dev/exit-code": "0" if json.loads(message)["passed"] else "1",
            "kwok.imageclassifier.dev/termination-message": message,
        }
        for pod in running():
            path = f"/api/v1/namespaces/{self.namespace}/pods/{pod['metadata']['name']}"
            self.apiserver.request(
                "PATCH", path, {"metadata": {"annotations": annotations}}, "application/merge-patch+json"
            )

    def wait_ready(self, version: int) -> None:
        self.wait(
            lambda: (
                self.condition("Ready").get("status") == "True"
                and self.status().get("servingVersion") == version
            ),
            f"version {version} to be ready",
        )

    def wait_phase(self, phase: str) -> None:
        self.wait(lambda: self.status().get("phase") == phase, f"phase {phase}")


@pytest.fixture
def bench(apiserver: Any, namespace: str) -> Iterator[Bench]:
    apiserver.ensure_nodes(1)
    apiserver.kubectl("apply", "--server-side", "-f", str(CRD))
    apiserver.kubectl("wait", "--for=condition=Established", "crd/imageclassifiers.imageclassifier.dev")
    gateways = PlayedGateways(apiserver)
    with RunningOperator(apiserver.kubeconfig, gateways):
        yield Bench(apiserver, namespace, gateways)
        apiserver.request("DELETE", CLASSIFIERS.format(namespace))


def test_from_nothing_to_ready_every_child_is_written_once(bench: Bench) -> None:
    mark = bench.apiserver.audit_mark()
    bench.create(1)
    bench.verify(1)
    bench.wait_ready(1)
    written: dict[str, int] = {}
    status_writes = 0
    for event in bench.apiserver.audit_events(since=mark):
        if event.is_write and event.field_manager == "imageclassifier-operator" and "/pods/" not in event.uri:
            path = event.uri.split("?")[0]
            written[path] = written.get(path, 0) + 1
        status_writes += event.is_write and event.field_manager == "imageclassifier-operator-status"
    assert written
    assert {path: count for path, count in written.items() if count != 1} == {}
    assert status_writes <= 4
