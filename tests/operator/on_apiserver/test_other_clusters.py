"""What other clusters do: admission rewrites, quotas refuse, load balancers wait, nodes lack AVX."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from admission_webhook import (
    ANNOTATION,
    CPU,
    DEPLOYMENTS,
    JOBS,
    LABEL,
    MIRROR,
    PODS,
    SIDECAR,
    TOLERATION,
    VARIABLE,
    decorated,
    mirrored,
    rewriting_webhook,
)
from broken_pods import crashed, waiting
from operator_process import Bench, writes_of_operator

pytestmark = pytest.mark.apiserver

SERVER = "stalled.invalid/server:1"
"""The fake nodes leave the pods of this image as they are."""


@pytest.fixture
def rewritten(bench: Bench, tmp_path: Path) -> Iterator[Bench]:
    with rewriting_webhook(bench.apiserver, bench.namespace, tmp_path, mirrored, DEPLOYMENTS):
        yield bench


@pytest.fixture
def policed(bench: Bench, tmp_path: Path) -> Iterator[Bench]:
    objects = (DEPLOYMENTS, JOBS, PODS)
    with rewriting_webhook(bench.apiserver, bench.namespace, tmp_path, decorated, *objects):
        yield bench


def containers(bench: Bench, name: str) -> list[dict[str, Any]]:
    pod = bench.deployments()[name]["spec"]["template"]["spec"]
    return [*pod.get("initContainers", ()), *pod["containers"]]


def wait_for_rest(bench: Bench) -> None:
    """Wait until the operator writes nothing while only an annotation changes that it does not read.

    Ready may come before the last pods, whose number in the status is still to be written.
    """

    def is_at_rest() -> bool:
        mark = bench.apiserver.audit_mark()
        for round_ in range(3):
            bench.wake_operator(f"{mark} {round_}")
        return not writes_of_operator(bench, mark)

    bench.wait(is_at_rest, "three reconciliations in a row without a write")


def test_deployments_that_admission_rewrites_become_ready_and_are_left_alone(rewritten: Bench) -> None:
    bench = rewritten
    bench.create(1, rollout={"keepPreviousSeconds": 0}, gateway={"timeoutSeconds": 1})
    bench.verify(1)
    bench.wait_ready(1)
    for name in ("pizza-gateway", "pizza-serving-v1"):
        for container in containers(bench, name):
            assert container["image"].startswith(MIRROR)
            assert container["resources"]["requests"]["cpu"] == CPU
    wait_for_rest(bench)
    # A change of the spec is written, and what somebody else changes is repaired.
    bench.patch({"spec": {"gateway": {"replicas": 3}, "serving": {"image": "server:2"}}})
    bench.wait(
        lambda: containers(bench, "pizza-serving-v1")[-1]["image"] == f"{MIRROR}server:2", "the new image"
    )
    bench.wait_ready(1)
    path = f"/apis/apps/v1/namespaces/{bench.namespace}/deployments/pizza-gateway"
    evil = {"spec": {"template": {"spec": {"containers": [{"name": "gateway", "image": f"{MIRROR}evil"}]}}}}
    bench.apiserver.request("PATCH", path, evil, content_type="application/strategic-merge-patch+json")
    bench.wait(
        lambda: containers(bench, "pizza-gateway")[0]["image"] == f"{MIRROR}gateway:test", "the repair"
    )
    bench.wait_ready(1)
    wait_for_rest(bench)


def assert_decorated(metadata: dict[str, Any], pod: dict[str, Any]) -> None:
    """The pod, or the template of pods, has all that the policy engine adds."""
    assert metadata["labels"][LABEL] == metadata["annotations"][ANNOTATION] == "yes"
    assert TOLERATION in pod["tolerations"]
    assert pod["initContainers"][-1]["name"] == f"{SIDECAR}-init"
    *ours, sidecar = pod["containers"]
    assert sidecar["name"] == SIDECAR
    assert all(VARIABLE in container["env"] for container in ours)


def assert_all_decorated(bench: Bench) -> None:
    deployments = bench.deployments()
    assert set(deployments) >= {"pizza-gateway"}
    for deployment in deployments.values():
        assert deployment["metadata"]["labels"][LABEL] == "yes"
        template = deployment["spec"]["template"]
        assert_decorated(template["metadata"], template["spec"])
    pods = bench.get(f"/api/v1/namespaces/{bench.namespace}/pods")["items"]
    assert len(pods) >= len(deployments)
    for pod in pods:
        assert_decorated(pod["metadata"], pod["spec"])


def test_what_a_policy_engine_adds_to_deployments_jobs_and_pods_stays_and_causes_no_write(
    policed: Bench,
) -> None:
    bench = policed
    bench.create(1, rollout={"keepPreviousSeconds": 0}, gateway={"timeoutSeconds": 1})
    bench.verify(1)
    bench.wait_ready(1)
    assert_all_decorated(bench)
    wait_for_rest(bench)
    # A rollout works as it does without the policies.
    bench.patch({"spec": {"model": {"version": 2}, "gateway": {"replicas": 3}}})
    bench.verify(2)
    bench.wait_ready(2)
    bench.wait(lambda: set(bench.deployments()) == {"pizza-gateway", "pizza-serving-v2"}, "version 1 to go")
    assert bench.deployments()["pizza-gateway"]["spec"]["replicas"] == 3
    assert_all_decorated(bench)
    wait_for_rest(bench)


def test_a_load_balancer_without_an_address_is_in_the_message_with_the_way_around_it(bench: Bench) -> None:
    bench.create(1, gateway={"service": {"type": "LoadBalancer", "port": 8000}})
    bench.verify(1)
    bench.wait_ready(1)
    message = bench.condition("Ready")["message"]
    assert "The load balancer of Service pizza-gateway has no address yet." in message
    command = f"kubectl -n {bench.namespace} port-forward service/pizza-gateway 8080:8000"
    assert f"{command} and use http://localhost:8080/." in message
    path = f"/api/v1/namespaces/{bench.namespace}/services/pizza-gateway/status"
    address = {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}}}
    bench.apiserver.request("PATCH", path, address, "application/merge-patch+json")
    bench.wait(lambda: bench.status().get("url") == "http://192.0.2.7:8000/", "the URL")
    assert bench.condition("Ready")["message"] == "Version 1 is fully rolled out."


@pytest.mark.parametrize(
    ("plural", "spec", "told"),
    [
        ("resourcequotas", {"hard": {"limits.cpu": "10"}}, "limits.cpu: the quota requires it of every"),
        ("resourcequotas", {"hard": {"requests.memory": "100Mi"}}, "requests.memory. A rollout needs room"),
        (
            "limitranges",
            {"limits": [{"type": "Container", "max": {"memory": "100Mi"}}]},
            "limits.memory to at most 100Mi.",
        ),
        (
            "limitranges",
            {"limits": [{"type": "Container", "maxLimitRequestRatio": {"memory": "1500m"}}]},
            "limits.memory to at most 1500m times",
        ),
    ],
    ids=["a limit that a quota wants", "a small quota", "a maximum", "a ratio"],
)
def test_pods_that_a_quota_or_a_limit_range_refuses_name_the_field(
    bench: Bench, plural: str, spec: dict[str, Any], told: str
) -> None:
    path = f"/api/v1/namespaces/{bench.namespace}/{plural}"
    bench.apiserver.request("POST", path, {"metadata": {"name": "small"}, "spec": spec})
    if plural == "resourcequotas":  # until its usage is known, every pod is refused for another reason
        bench.wait(lambda: bench.get(f"{path}/small").get("status", {}).get("used"), "the usage of the quota")
    bench.create(1)
    bench.wait(lambda: bench.condition("Ready").get("reason") == "QuotaExceeded", "the refusal")
    message = bench.condition("Ready")["message"]
    assert f"spec.serving.resources.{told}" in message or f"spec.gateway.resources.{told}" in message


@pytest.mark.parametrize(
    ("server", "reason", "told"),
    [
        (
            crashed(code=132),
            "ContainerCrashed",
            "ended with exit code 132: its program uses instructions that the processor of the node does not "
            "have. TensorFlow needs AVX. Choose nodes that have it in "
            "spec.serving.template.spec.nodeSelector, or set spec.serving.image to an image that is built "
            "without AVX.",
        ),
        (
            crashed(message="exec /usr/bin/tensorflow_model_server: exec format error", code=255),
            "ContainerCrashed",
            "image stalled.invalid/server:1 is for another processor than that of the node. Set "
            "spec.serving.image to an image for this architecture, or choose the nodes by "
            "kubernetes.io/arch in spec.serving.template.spec.nodeSelector.",
        ),
        (
            waiting("ErrImagePull", "no matching manifest for linux/arm64/v8 in the manifest list entries"),
            "ImagePullFailed",
            "cannot pull image stalled.invalid/server:1: it has nothing for the processor of the node.",
        ),
    ],
    ids=["without AVX", "another architecture", "no image for the architecture"],
)
def test_a_node_with_the_wrong_processor_is_in_the_message_with_what_to_do(
    bench: Bench, server: dict[str, Any], reason: str, told: str
) -> None:
    bench.create(1, serving={"image": SERVER})
    bench.wait(lambda: bench.pods("serving"), "the pod of the model server")
    [pod] = bench.pods("serving")
    status = {"containerStatuses": [{"imageID": "", "restartCount": 1, **server, "image": SERVER}]}
    path = f"/api/v1/namespaces/{bench.namespace}/pods/{pod['metadata']['name']}/status"
    bench.apiserver.request("PATCH", path, {"status": status}, "application/merge-patch+json")
    bench.wait(lambda: told in bench.condition("Ready").get("message", ""), told)
    assert bench.condition("Ready")["reason"] == reason
