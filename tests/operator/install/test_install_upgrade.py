"""Classifiers stay as they are while the operator is away, upgraded or removed."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from bare_apiserver import ControlPlane
from imageclassifier_operator.api import names
from operator_process import PlayedGateways, RunningOperator
from verifications import pass_verifications

pytestmark = pytest.mark.apiserver

REPOSITORY = Path(__file__).parents[3]
INSTALL = REPOSITORY / "operator/install/install.yaml"
KINDS = (
    "/api/v1/namespaces/{}/configmaps",
    "/api/v1/namespaces/{}/services",
    "/apis/apps/v1/namespaces/{}/deployments",
    "/apis/policy/v1/namespaces/{}/poddisruptionbudgets",
    "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
)


class Classifier:
    """One ImageClassifier in a namespace of its own, and what belongs to it."""

    def __init__(self, apiserver: ControlPlane, namespace: str) -> None:
        self.apiserver, self.namespace = apiserver, namespace
        self.path = f"/apis/{names.API_VERSION}/namespaces/{namespace}/imageclassifiers"

    def create(self) -> None:
        body = {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "metadata": {"name": "pizza"},
            "spec": {"model": {"version": 1, "source": {"image": {"reference": "pizza-model:{version}"}}}},
        }
        self.apiserver.request("POST", self.path, body)

    def wait_ready(self) -> None:
        def ready() -> bool:
            pass_verifications(self.apiserver, self.namespace)
            status = self.apiserver.request("GET", f"{self.path}/pizza").get("status") or {}
            return any(
                condition["type"] == "Ready" and condition["status"] == "True"
                for condition in status.get("conditions", ())
            )

        self.apiserver.wait_for(ready, "the ImageClassifier to be ready", 120)

    def pods(self) -> set[str]:
        selector = f"labelSelector={names.LABEL_COMPONENT}!=verify"
        items = self.apiserver.request("GET", f"/api/v1/namespaces/{self.namespace}/pods?{selector}")["items"]
        return {pod["metadata"]["uid"] for pod in items}

    def children(self) -> dict[str, Any]:
        """What was asked for, of every kind; the status that controllers write is left out."""
        return {
            f"{kind.format('')} {item['metadata']['name']}": (item["metadata"]["uid"], item.get("spec"))
            for kind in KINDS
            for item in self.apiserver.request("GET", kind.format(self.namespace))["items"]
        }


def prepared(apiserver: ControlPlane, namespace: str) -> Classifier:
    """The installation applied, and an ImageClassifier that can be made."""
    apiserver.ensure_nodes(1)
    apiserver.kubectl("apply", "-f", str(INSTALL))
    apiserver.wait_until_established(f"{names.PLURAL}.{names.GROUP}")
    return Classifier(apiserver, namespace)


@pytest.fixture
def classifier(apiserver: ControlPlane, namespace: str) -> Classifier:
    return prepared(apiserver, namespace)


def operator(apiserver: ControlPlane, serving_image: str = "tensorflow/serving:test") -> RunningOperator:
    running = RunningOperator(apiserver.kubeconfig, PlayedGateways(apiserver))
    running.settings = dataclasses.replace(running.settings, serving_image=serving_image)
    return running


def test_an_upgrade_restarts_no_pod_and_the_new_default_server_waits_for_the_next_version(
    apiserver: ControlPlane, classifier: Classifier
) -> None:
    with operator(apiserver, serving_image="tensorflow/serving:old"):
        classifier.create()
        classifier.wait_ready()
    children, pods = classifier.children(), classifier.pods()
    with operator(apiserver, serving_image="tensorflow/serving:new"):
        # A deleted child is restored: then the new operator has certainly reconciled.
        path = f"/apis/policy/v1/namespaces/{classifier.namespace}/poddisruptionbudgets"
        apiserver.request("DELETE", f"{path}/pizza-gateway")
        apiserver.wait_for(
            lambda: len(apiserver.request("GET", path)["items"]) == 1, "the operator to repair", 60
        )
    gateway_budget = "/apis/policy/v1/namespaces//poddisruptionbudgets pizza-gateway"
    after = classifier.children()
    assert after.keys() == children.keys()
    assert {key: value for key, value in after.items() if key != gateway_budget} == {
        key: value for key, value in children.items() if key != gateway_budget
    }
    assert classifier.pods() == pods


def test_taking_the_operator_away_leaves_classifiers_as_they_are(
    apiserver: ControlPlane, classifier: Classifier
) -> None:
    with operator(apiserver):
        classifier.create()
        classifier.wait_ready()
    children, pods = classifier.children(), classifier.pods()
    apiserver.kubectl("delete", "namespace", "imageclassifier-system", "--wait=false")
    selector = ["-l", "app.kubernetes.io/name=imageclassifier-operator"]
    apiserver.kubectl("delete", "clusterrole,clusterrolebinding", *selector)
    path = "/api/v1/namespaces"

    def namespace_is_gone() -> bool:
        items = apiserver.request("GET", path)["items"]
        return all(item["metadata"]["name"] != "imageclassifier-system" for item in items)

    apiserver.wait_for(namespace_is_gone, "the operator's namespace to go", 60)
    assert classifier.children() == children
    assert classifier.pods() == pods


def test_deleting_the_classifiers_first_leaves_nothing(
    apiserver: ControlPlane, classifier: Classifier
) -> None:
    with operator(apiserver):
        classifier.create()
        classifier.wait_ready()
        apiserver.kubectl("delete", "imageclassifiers", "--all", "-n", classifier.namespace)
        apiserver.wait_for(
            lambda: set(classifier.children()) == {"/api/v1/namespaces//configmaps kube-root-ca.crt"},
            "the garbage collector to remove every child",
            60,
        )
