"""What other clusters do: admission rewrites."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from admission_webhook import CPU, MIRROR, rewriting_webhook
from operator_process import Bench, writes_of_operator

pytestmark = pytest.mark.apiserver


@pytest.fixture
def rewritten(bench: Bench, tmp_path: Path) -> Iterator[Bench]:
    with rewriting_webhook(bench.apiserver, bench.namespace, tmp_path):
        yield bench


def containers(bench: Bench, name: str) -> list[dict[str, Any]]:
    pod = bench.deployments()[name]["spec"]["template"]["spec"]
    return [*pod.get("initContainers", ()), *pod["containers"]]


def writes_at_rest(bench: Bench) -> list[str]:
    """The operator's writes while nothing changes but an annotation that it does not read."""
    mark = bench.apiserver.audit_mark()
    for round_ in range(3):
        bench.wake_operator(f"at rest {round_}")
    return [f"{event.verb} {event.resource} {event.name}" for event in writes_of_operator(bench, mark)]


def test_deployments_that_admission_rewrites_become_ready_and_are_left_alone(rewritten: Bench) -> None:
    bench = rewritten
    bench.create(1, rollout={"keepPreviousSeconds": 0}, gateway={"timeoutSeconds": 1})
    bench.verify(1)
    bench.wait_ready(1)
    for name in ("pizza-gateway", "pizza-serving-v1"):
        for container in containers(bench, name):
            assert container["image"].startswith(MIRROR)
            assert container["resources"]["requests"]["cpu"] == CPU
    assert writes_at_rest(bench) == []
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
    assert writes_at_rest(bench) == []
