"""Who sets the number of gateways: the operator, its autoscaler, or an autoscaler of the user's.

The real HorizontalPodAutoscaler controller is at work. It needs no metrics to keep to `minReplicas`.
"""

import time
from typing import Any

import pytest

from imageclassifier_operator.api.kinds import FIELD_MANAGER
from imageclassifier_operator.runtime.drift import owns
from operator_process import Bench

pytestmark = pytest.mark.apiserver

AUTOSCALERS = "/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers"


def gateway(bench: Bench) -> dict[str, Any]:
    return bench.deployments()["pizza-gateway"]


def wait_replicas(bench: Bench, number: int) -> None:
    def has_number() -> bool:
        found = bench.deployments().get("pizza-gateway")
        return found is not None and found["spec"]["replicas"] == number

    bench.wait(has_number, f"{number} gateways")


def wait_for_a_reconciliation(bench: Bench, mark: str) -> None:
    """The operator has acted on the spec as it is now."""
    bench.patch({"spec": {"gateway": {"service": {"annotations": {"mark": mark}}}}})
    path = "/api/v1/namespaces/{}/services/pizza-gateway"
    bench.wait(lambda: bench.get(path)["metadata"].get("annotations", {}).get("mark") == mark, "the mark")


def create_autoscaler(bench: Bench, minimum: int) -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "pizza-gateway"}
    body = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "of-the-user"},
        "spec": {"scaleTargetRef": target, "minReplicas": minimum, "maxReplicas": 9},
    }
    bench.apiserver.request("POST", AUTOSCALERS.format(bench.namespace), body)


def test_an_autoscaler_of_the_user_is_left_alone(bench: Bench) -> None:
    bench.create(1, gateway={"replicas": 2})
    bench.wait(lambda: "pizza-gateway" in bench.deployments(), "the gateway")
    create_autoscaler(bench, minimum=4)
    wait_replicas(bench, 4)
    mark = bench.apiserver.audit_mark()
    for number in range(3):
        wait_for_a_reconciliation(bench, f"seen-{number}")
        time.sleep(0.5)
        assert gateway(bench)["spec"]["replicas"] == 4
    assert not [
        event
        for event in bench.apiserver.audit_events(since=mark)
        if event.is_write
        and event.field_manager == FIELD_MANAGER
        and (event.resource, event.name) == ("deployments", "pizza-gateway")
    ]


def change_the_gateway(bench: Bench, seconds: int) -> None:
    """Another setting of the gateway, so that the operator writes its Deployment again."""
    bench.patch({"spec": {"gateway": {"timeoutSeconds": seconds}}})
    wanted = {"name": "GATEWAY_TIMEOUT_SECONDS", "value": str(seconds)}

    def is_written() -> bool:
        return wanted in gateway(bench)["spec"]["template"]["spec"]["containers"][0]["env"]

    bench.wait(is_written, "the gateway's Deployment to be written")


def test_a_change_of_the_gateway_keeps_the_number_of_the_users_autoscaler(bench: Bench) -> None:
    """The operator has created the Deployment with a number, and an apply without it gives the field up."""
    bench.create(1, gateway={"replicas": 2})
    bench.wait(lambda: "pizza-gateway" in bench.deployments(), "the gateway")
    assert owns(gateway(bench), FIELD_MANAGER, "spec", "replicas")
    create_autoscaler(bench, minimum=4)
    wait_replicas(bench, 4)
    before = gateway(bench)["metadata"]["generation"]
    for written, seconds in enumerate((41, 42), start=1):
        change_the_gateway(bench, seconds)
        assert gateway(bench)["spec"]["replicas"] == 4
        assert gateway(bench)["metadata"]["generation"] == before + written, "it was another number meanwhile"
        assert not owns(gateway(bench), FIELD_MANAGER, "spec", "replicas")


def test_a_change_of_the_gateway_keeps_its_number_while_no_autoscaler_has_set_one(bench: Bench) -> None:
    bench.create(1, gateway={"autoscaling": {"minReplicas": 3, "maxReplicas": 6}})
    wait_replicas(bench, 3)
    before = gateway(bench)["metadata"]["generation"]
    change_the_gateway(bench, 41)
    assert gateway(bench)["spec"]["replicas"] == 3
    assert gateway(bench)["metadata"]["generation"] == before + 1, "it was another number meanwhile"


def test_a_change_by_hand_is_put_back(bench: Bench) -> None:
    bench.create(1, gateway={"replicas": 2})
    bench.wait(lambda: "pizza-gateway" in bench.deployments(), "the gateway")
    path = f"/apis/apps/v1/namespaces/{bench.namespace}/deployments/pizza-gateway/scale"
    body = {"spec": {"replicas": 5}}
    bench.apiserver.request("PATCH", path, body, "application/merge-patch+json")
    wait_replicas(bench, 2)


def test_autoscaling_in_the_spec_takes_over_the_live_number_and_gives_it_back(bench: Bench) -> None:
    bench.create(1, gateway={"replicas": 3})
    bench.wait(lambda: "pizza-gateway" in bench.deployments(), "the gateway")
    before = gateway(bench)["metadata"]["generation"]
    bench.patch({"spec": {"gateway": {"autoscaling": {"minReplicas": 2, "maxReplicas": 6}}}})
    bench.wait(lambda: bench.get(AUTOSCALERS)["items"], "the autoscaler")
    wait_for_a_reconciliation(bench, "taken over")
    assert gateway(bench)["spec"]["replicas"] == 3
    assert gateway(bench)["metadata"]["generation"] == before, "it was another number for a moment"
    bench.patch({"spec": {"gateway": {"autoscaling": {"minReplicas": 5}}}})
    wait_replicas(bench, 5)
    wait_for_a_reconciliation(bench, "scaled")
    assert gateway(bench)["spec"]["replicas"] == 5
    bench.patch({"spec": {"gateway": {"autoscaling": None}}})
    wait_replicas(bench, 3)
    bench.wait(lambda: not bench.get(AUTOSCALERS)["items"], "the autoscaler to be deleted")
