"""A new gateway image of the operator rolls through many classifiers a few at a time."""

from collections.abc import Iterator
from typing import Any

import pytest

from bare_apiserver import ControlPlane
from operator_process import CLASSIFIERS, PlayedGateways, RunningOperator, install_crd
from verifications import pass_verifications

pytestmark = pytest.mark.apiserver

COUNT, LIMIT = 12, 3
BROKEN = "stalled.invalid/gateway:2"
"""KWOK never starts a container of this registry."""


@pytest.fixture
def fleet(apiserver: ControlPlane, namespace: str) -> Iterator["Fleet"]:
    apiserver.ensure_nodes(1)
    install_crd(apiserver)
    yield Fleet(apiserver, namespace)
    apiserver.request("DELETE", CLASSIFIERS.format(namespace))


class Fleet:
    """Many classifiers in one namespace."""

    def __init__(self, apiserver: ControlPlane, namespace: str) -> None:
        self.apiserver, self.namespace = apiserver, namespace

    def create(self) -> None:
        for number in range(COUNT):
            body = {
                "apiVersion": "imageclassifier.dev/v1alpha1",
                "kind": "ImageClassifier",
                "metadata": {"name": f"pizza-{number}"},
                "spec": {
                    "model": {"version": 1, "source": {"image": {"reference": "pizza:{version}"}}},
                    "gateway": {"replicas": 1},
                },
            }
            self.apiserver.request("POST", CLASSIFIERS.format(self.namespace), body)

    def operator(self, image: str) -> RunningOperator:
        return RunningOperator(
            self.apiserver.kubeconfig,
            PlayedGateways(self.apiserver),
            image,
            namespace=self.namespace,
            gateway_image=image,
            max_gateway_updates=LIMIT,
        )

    def ready(self) -> int:
        pass_verifications(self.apiserver, self.namespace)
        found = self.apiserver.request("GET", CLASSIFIERS.format(self.namespace))["items"]
        conditions = [each.get("status", {}).get("conditions", ()) for each in found]
        return sum(any((c["type"], c["status"]) == ("Ready", "True") for c in each) for each in conditions)

    def gateways(self) -> list[dict[str, Any]]:
        path = f"/apis/apps/v1/namespaces/{self.namespace}/deployments"
        selector = "?labelSelector=app.kubernetes.io/component=gateway"
        items: list[dict[str, Any]] = self.apiserver.request("GET", f"{path}{selector}")["items"]
        return items

    def with_image(self, image: str) -> int:
        images = [each["spec"]["template"]["spec"]["containers"][0]["image"] for each in self.gateways()]
        return images.count(image)

    def unavailable(self, image: str) -> int:
        """The number of Deployments with this image that do not have all their new pods yet."""
        return sum(
            each["spec"]["template"]["spec"]["containers"][0]["image"] == image
            and (
                each["status"].get("observedGeneration", 0) < each["metadata"]["generation"]
                or each["status"].get("updatedReplicas", 0) < 1
                or each["status"].get("availableReplicas", 0) < 1
                or each["status"].get("replicas", 0) > 1
            )
            for each in self.gateways()
        )


def test_a_new_gateway_image_reaches_a_few_classifiers_at_a_time_and_a_broken_one_only_those(
    fleet: Fleet,
) -> None:
    server = fleet.apiserver
    with fleet.operator("gateway:1"):
        fleet.create()
        server.wait_for(lambda: fleet.ready() == COUNT, "all to be ready", timeout_seconds=180)
    with fleet.operator(BROKEN):
        server.wait_for(lambda: fleet.with_image(BROKEN) == LIMIT, "some to have the broken image")
        server.wait_for(lambda: fleet.ready() == COUNT - LIMIT, "the status to show those")
        with pytest.raises(TimeoutError):
            server.wait_for(lambda: fleet.with_image(BROKEN) > LIMIT, "more to get it", timeout_seconds=5)
    most = 0

    def all_have(image: str) -> bool:
        nonlocal most
        most = max(most, fleet.unavailable(image))
        return fleet.with_image(image) == COUNT and fleet.ready() == COUNT

    with fleet.operator("gateway:3"):
        server.wait_for(lambda: all_have("gateway:3"), "all to have the good image", timeout_seconds=180)
    assert 0 < most <= LIMIT
