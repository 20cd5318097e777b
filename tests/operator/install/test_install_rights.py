"""The rights that the installation grants: the operator lives its whole life with them, and uses each of
them.

The operator runs as the installed service account while an ImageClassifier is created, rolled out and
stripped of what it had asked for. The API server's audit log then shows what was refused, and what was never
used.
"""

import base64
import dataclasses
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from bare_apiserver import ControlPlane
from imageclassifier_operator.api import names
from operator_process import PlayedGateways, RunningOperator
from verifications import pass_verifications

pytestmark = pytest.mark.apiserver

REPOSITORY = Path(__file__).parents[3]
HTTP_ROUTES = REPOSITORY / "tests/operator/support/gateway_api_httproutes.json"
SYSTEM = "imageclassifier-system"
MERGE = "application/merge-patch+json"

Right = tuple[str, str, str]  # API group, resource with its subresource, verb


def installation(*options: str) -> list[dict[str, Any]]:
    command = [sys.executable, str(REPOSITORY / "operator/install/render.py"), *options]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [document for document in yaml.safe_load_all(text) if document]


def granted(documents: Iterable[dict[str, Any]]) -> set[Right]:
    """What the roles bound to the operator's service account grant."""
    bound = {
        (document["roleRef"]["kind"], document["roleRef"]["name"])
        for document in documents
        if "roleRef" in document
    }
    return {
        (group, resource, verb)
        for document in documents
        if (document["kind"], document["metadata"]["name"]) in bound
        for rule in document["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_every_right_is_needed_and_none_is_missing(apiserver: ControlPlane, namespace: str) -> None:
    check(apiserver, namespace, SYSTEM, installation())


def test_for_one_namespace_too(apiserver: ControlPlane, namespace: str) -> None:
    apiserver.kubectl("apply", "-f", str(REPOSITORY / "crds/imageclassifiers.yaml"))
    check(apiserver, namespace, namespace, installation("--one-namespace", "--namespace", namespace))


def check(apiserver: ControlPlane, namespace: str, home: str, documents: list[dict[str, Any]]) -> None:
    apiserver.ensure_nodes(1)
    apiserver.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(documents))
    apiserver.wait_until_established(f"{names.PLURAL}.{names.GROUP}")
    apiserver.kubectl("apply", "--server-side", "-f", str(HTTP_ROUTES))
    apiserver.wait_until_established("httproutes.gateway.networking.k8s.io")
    kubeconfig = apiserver.kubeconfig_of_service_account(home, "imageclassifier-operator")
    operator = RunningOperator(kubeconfig, PlayedGateways(apiserver))
    operator.settings = dataclasses.replace(
        operator.settings, pod_namespace=home, watch_namespace=namespace if home == namespace else None
    )
    mark = apiserver.audit_mark()
    with operator:
        live(Story(apiserver, namespace))
    user = f"system:serviceaccount:{home}:imageclassifier-operator"
    # Namespaces of other tests may be ending just now, and an ending namespace refuses with 403 as well.
    elsewhere = re.compile(rf"/namespaces/test-(?!{namespace.removeprefix('test-')}/)")
    mine = [
        event
        for event in apiserver.audit_events(since=mark)
        if event.user == user and not elsewhere.search(event.uri)
    ]
    assert [event.uri for event in mine if event.status_code == 403] == []

    used: set[Right] = set()
    for event in mine:
        resource = f"{event.resource}/{event.subresource}" if event.subresource else event.resource
        used.add((event.group, resource, event.verb))
        if event.verb == "patch" and event.status_code == 201:
            used.add(
                (event.group, resource, "create")
            )  # a server-side apply that creates an object needs both
    assert granted(documents) - used == set()


@dataclasses.dataclass
class Story:
    """What users and the fake pods of one namespace do."""

    apiserver: ControlPlane
    namespace: str

    @property
    def path(self) -> str:
        return f"/apis/{names.API_VERSION}/namespaces/{self.namespace}/imageclassifiers"

    def get(self) -> dict[str, Any]:
        classifier: dict[str, Any] = self.apiserver.request("GET", f"{self.path}/pizza")
        return classifier

    def patch(self, spec: dict[str, Any]) -> None:
        self.apiserver.request("PATCH", f"{self.path}/pizza", {"spec": spec}, MERGE)

    def wait_stable(self, version: int) -> None:
        """Meanwhile every verification that runs is passed."""

        def stable() -> bool:
            pass_verifications(self.apiserver, self.namespace)
            status = self.get().get("status") or {}
            return (status.get("phase"), status.get("servingVersion")) == ("Stable", version)

        self.apiserver.wait_for(stable, f"version {version} to serve alone", 120)

    def edit(self, path: str) -> None:
        """A user's edit, which the operator undoes."""
        path = path.format(self.namespace)
        annotation = names.ANNOTATION_MANIFEST_HASH
        self.apiserver.request("PATCH", path, {"metadata": {"annotations": {annotation: None}}}, MERGE)

        def undone() -> bool:
            annotations = self.apiserver.request("GET", path)["metadata"].get("annotations", {})
            return annotation in annotations

        self.apiserver.wait_for(undone, f"{path} to be as before", 60)

    def wait_gone(self, path: str) -> None:
        def gone() -> bool:
            return not self.apiserver.request("GET", path.format(self.namespace))["items"]

        self.apiserver.wait_for(gone, f"{path} to be empty", 60)


EDITED = (
    "/api/v1/namespaces/{}/services/pizza-gateway",
    "/apis/policy/v1/namespaces/{}/poddisruptionbudgets/pizza-gateway",
    "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies/pizza-serving",
    "/apis/networking.k8s.io/v1/namespaces/{}/ingresses/pizza-gateway",
    "/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers/pizza",
    "/apis/gateway.networking.k8s.io/v1/namespaces/{}/httproutes/pizza-gateway",
)
"""A child of each kind that no rollout changes."""


def live(story: Story) -> None:
    """An ImageClassifier's life in which every kind of child is made, changed or removed."""
    policies = f"/apis/networking.k8s.io/v1/namespaces/{story.namespace}/networkpolicies"
    story.apiserver.request(
        "POST",
        story.path,
        {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "metadata": {"name": "pizza"},
            "spec": {
                "model": {"version": 1, "source": {"image": {"reference": "pizza-model:{version}"}}},
                "autoscaling": {"maxReplicas": 2},
                "gateway": {
                    "ingress": {"host": "pizza.example.org"},
                    "httpRoute": {"parentRefs": [{"name": "web"}]},
                    "timeoutSeconds": 1,
                },
                "rollout": {"keepPreviousSeconds": 0},
            },
        },
    )
    story.wait_stable(1)
    for path in EDITED:
        story.edit(path)
    # A child of an earlier release that the current release no longer renders under this name.
    owner = names.owner_reference("pizza", story.get()["metadata"]["uid"])
    metadata = {"name": "pizza-former", "labels": names.labels("pizza"), "ownerReferences": [owner]}
    story.apiserver.request("POST", policies, {"metadata": metadata, "spec": {"podSelector": {}}})
    # The plan of this verification is too large for an annotation, so it is a ConfigMap.
    picture = {"base64": base64.b64encode(bytes(20_000)).decode()}
    acceptance = {"cases": [{"name": "large", "label": "pizza", "picture": picture}]}
    story.patch({"model": {"version": 2}, "rollout": {"acceptance": acceptance}})
    story.wait_stable(2)
    story.patch({"model": {"version": 3}, "rollout": {"acceptance": None}})
    story.wait_stable(3)
    story.patch({"autoscaling": None, "gateway": {"ingress": None, "httpRoute": None}})
    story.wait_gone("/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers")
    story.wait_gone("/apis/networking.k8s.io/v1/namespaces/{}/ingresses")
    story.wait_gone("/apis/gateway.networking.k8s.io/v1/namespaces/{}/httproutes")
    story.apiserver.request("DELETE", f"{story.path}/pizza")
