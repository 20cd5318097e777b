"""Templates of pods on a real API server: what they restart, and how a wrong one is reported."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe import patience
from operator_process import Bench

pytestmark = pytest.mark.apiserver

EXAMPLES = Path(__file__).parents[3] / "examples"


def template_of(part: str, **fields: Any) -> dict[str, Any]:
    return {"spec": {part: {"template": {"spec": fields}}}}


def uids(bench: Bench, component: str) -> set[str]:
    """The pods that are not terminating."""
    return {
        pod["metadata"]["uid"]
        for pod in bench.pods(component)
        if pod["metadata"].get("deletionTimestamp") is None
    }


def pod_of(bench: Bench, deployment: str) -> dict[str, Any]:
    pod: dict[str, Any] = bench.deployments()[deployment]["spec"]["template"]["spec"]
    return pod


def wait_reason(bench: Bench, reason: str) -> str:
    bench.wait(lambda: bench.condition("Ready").get("reason") == reason, f"the reason {reason}")
    return str(bench.condition("Ready")["message"])


def test_the_template_of_the_gateway_restarts_gateways_and_no_model_server(serving: Bench) -> None:
    gateways, servers = uids(serving, "gateway"), uids(serving, "serving")
    serving.patch(template_of("gateway", priorityClassName="system-cluster-critical"))
    serving.wait(lambda: gateways.isdisjoint(uids(serving, "gateway")), "other gateways")
    serving.wait_ready(1)
    assert uids(serving, "serving") == servers


def test_the_template_of_the_model_servers_keeps_the_old_pods_until_new_ones_are_ready(
    serving: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = {**patience.ORDINARY_SECONDS, Reason.UNSCHEDULABLE: 0.1}
    monkeypatch.setattr(patience, "ORDINARY_SECONDS", quick)
    before = uids(serving, "serving")
    serving.patch(template_of("serving", nodeSelector={"disk": "of-gold"}))
    told = wait_reason(serving, "Unschedulable")
    assert "tolerations or affinity in spec.serving.template.spec." in told
    assert before <= uids(serving, "serving")
    assert serving.condition("Available")["status"] == "True"
    serving.patch(template_of("serving", nodeSelector={"disk": None, "kubernetes.io/hostname": "fake-0"}))
    serving.wait(lambda: not before & uids(serving, "serving"), "the pods to be replaced")
    serving.wait_ready(1)


@pytest.mark.parametrize("part", ["serving", "gateway"])
def test_a_typo_within_a_field_is_reported_in_the_words_of_the_api_server(serving: Bench, part: str) -> None:
    before = uids(serving, part)
    serving.patch(template_of(part, affinity={"nodeAfinity": {}}))
    told = wait_reason(serving, "ApiRefused")
    assert ".spec.template.spec.affinity.nodeAfinity: field not declared in schema" in told
    serving.patch({"spec": {part: {"template": None}}})
    serving.wait_ready(1)
    assert uids(serving, part) == before


def test_a_volume_that_the_operator_has_itself_is_refused_and_nothing_restarts(serving: Bench) -> None:
    before = uids(serving, "serving")
    serving.patch(template_of("serving", volumes=[{"name": "model", "emptyDir": {}}]))
    told = wait_reason(serving, "InvalidSpec")
    assert "spec.serving.template.spec.volumes has model, which the operator uses itself" in told
    assert uids(serving, "serving") == before


def test_a_service_account_that_the_spec_no_longer_has_is_removed(serving: Bench) -> None:
    def account() -> set[str]:
        pod = pod_of(serving, "pizza-gateway")
        return {pod[name] for name in ("serviceAccountName", "serviceAccount") if name in pod}

    assert account() == set()
    serving.patch(template_of("gateway", serviceAccountName="reader"))
    serving.wait(lambda: account() == {"reader"}, "the ServiceAccount")
    serving.patch({"spec": {"gateway": {"template": None}}})
    serving.wait(lambda: account() == set(), "the ServiceAccount to be gone")
    serving.wait_ready(1)


def test_a_verification_that_finds_no_node_starts_when_the_spec_is_corrected(bench: Bench) -> None:
    bench.create(1, verification={"template": {"spec": {"nodeSelector": {"disk": "of-gold"}}}})
    bench.wait(lambda: len(bench.pods("verify")) == 1, "the pod of the verification")
    bench.patch({"spec": {"verification": {"template": None}}})
    bench.verify(1)
    bench.wait_ready(1)


@pytest.fixture
def gpu_node(bench: Bench) -> Iterator[str]:
    """A node with one GPU and the taint that keeps other pods away; its runtime class is `nvidia`."""
    size = {"cpu": "64", "memory": "1Ti", "pods": "100", "nvidia.com/gpu": "1"}
    node = {
        "metadata": {
            "name": "gpu-0",
            "labels": {"kwok.imageclassifier.dev/fake": "true", "nvidia.com/gpu.present": "true"},
        },
        "spec": {"taints": [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}]},
        "status": {
            "capacity": size,
            "allocatable": size,
            "conditions": [{"type": "Ready", "status": "True", "reason": "Fake", "message": "A fake node."}],
        },
    }
    runtime = {"metadata": {"name": "nvidia"}, "handler": "nvidia"}
    request = bench.apiserver.request
    request("POST", "/apis/node.k8s.io/v1/runtimeclasses", runtime)
    request("POST", "/api/v1/nodes", node)
    try:
        yield "gpu-0"
    finally:
        request("DELETE", "/apis/node.k8s.io/v1/runtimeclasses/nvidia")
        request("DELETE", "/api/v1/nodes/gpu-0")


def test_the_example_for_gpus_runs_on_a_node_with_one(bench: Bench, gpu_node: str) -> None:
    example = yaml.safe_load((EXAMPLES / "gpu.yaml").read_text("utf-8"))
    bench.apiserver.kubectl("apply", "-n", bench.namespace, "-f", "-", stdin=json.dumps(example))

    def nodes() -> dict[str, str]:
        pods = bench.get("/api/v1/namespaces/{}/pods")["items"]
        labels = [pod["metadata"]["labels"]["app.kubernetes.io/component"] for pod in pods]
        return dict(zip(labels, [pod["spec"].get("nodeName", "") for pod in pods], strict=True))

    bench.wait(lambda: nodes().get("serving") == gpu_node, "the model server to be on the node with the GPU")
    [pod] = bench.pods("serving")
    assert pod["spec"]["runtimeClassName"] == "nvidia"
    assert pod["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    bench.wait(lambda: pod["spec"]["nodeName"] != nodes().get("gateway", gpu_node), "a gateway elsewhere")
