"""The rendered children at a real API server: accepted, stored unchanged, and secure."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from bare_apiserver import ApiError, ControlPlane
from imageclassifier_operator.runtime import api_error
from rendered import SPECS, all_children

pytestmark = pytest.mark.apiserver

PLURALS = {
    "ConfigMap": "api/v1 configmaps",
    "Service": "api/v1 services",
    "Deployment": "apis/apps/v1 deployments",
    "Job": "apis/batch/v1 jobs",
    "PodDisruptionBudget": "apis/policy/v1 poddisruptionbudgets",
    "NetworkPolicy": "apis/networking.k8s.io/v1 networkpolicies",
    "Ingress": "apis/networking.k8s.io/v1 ingresses",
    "HorizontalPodAutoscaler": "apis/autoscaling/v2 horizontalpodautoscalers",
}


def in_namespace(child: dict[str, Any], namespace: str) -> dict[str, Any]:
    return {**child, "metadata": {**child["metadata"], "namespace": namespace}}


def apply(api: ControlPlane, child: dict[str, Any], *, dry_run: bool) -> dict[str, Any]:
    group, plural = PLURALS[child["kind"]].split()
    path = f"/{group}/namespaces/{child['metadata']['namespace']}/{plural}/{child['metadata']['name']}"
    query = f"fieldManager=test&force=true&fieldValidation=Strict{'&dryRun=All' if dry_run else ''}"
    stored: dict[str, Any] = api.request("PATCH", f"{path}?{query}", child, "application/apply-patch+yaml")
    return stored


NOT_STORED = ((".spec.paused", False, None), (".spec.ingress", [], None), (".spec.egress", [], None))
"""What the server keeps by leaving it out: it is sent so that nobody else's value stays."""


def differences(sent: Any, stored: Any, path: str = "") -> Iterator[str]:
    """The differences between `stored` and the sent object; fields that the server added do not count."""
    if isinstance(sent, dict) and isinstance(stored, dict):
        for key, value in sent.items():
            yield from differences(value, stored.get(key), f"{path}.{key}")
    elif isinstance(sent, list) and isinstance(stored, list) and len(sent) == len(stored):
        for index, value in enumerate(sent):
            yield from differences(value, stored[index], f"{path}[{index}]")
    elif sent != stored and (path, sent, stored) not in NOT_STORED:
        yield f"{path}: sent {json.dumps(sent)}, stored {json.dumps(stored)}"


@pytest.mark.parametrize("title", SPECS)
def test_the_api_server_stores_exactly_what_is_sent(apiserver: ControlPlane, title: str) -> None:
    found = []
    for child in all_children(SPECS[title]).values():
        sent = in_namespace(child, "default")
        found += [
            f"{child['kind']}{where}" for where in differences(sent, apply(apiserver, sent, dry_run=True))
        ]
    assert found == []


@pytest.mark.parametrize("title", SPECS)
def test_applying_them_again_changes_nothing(apiserver: ControlPlane, namespace: str, title: str) -> None:
    for child in all_children(SPECS[title]).values():
        sent = in_namespace(child, namespace)
        del sent["metadata"]["ownerReferences"]  # there is no such owner: the garbage collector would act
        stored, stored_again = (apply(apiserver, sent, dry_run=False) for _ in range(2))
        if child["kind"] == "NetworkPolicy":  # an empty list, which is not stored, counts as a change
            assert stored["spec"] == stored_again["spec"]
            continue
        first, again = stored["metadata"], stored_again["metadata"]
        # Controllers write the status of some kinds, so only the generation shows a changed spec there.
        version = "generation" if "generation" in first else "resourceVersion"
        assert again[version] == first[version], child["kind"]


def test_a_field_that_is_not_declared_is_a_refusal_although_the_api_server_calls_it_its_own_error(
    apiserver: ControlPlane,
) -> None:
    child = in_namespace(all_children(SPECS["smallest"])["Deployment", "pizza-serving-v3"], "default")
    child["spec"]["template"]["spec"]["affinity"] = {"nodeAfinity": {}}
    path = "/apis/apps/v1/namespaces/default/deployments/pizza-serving-v3?fieldManager=test&dryRun=All"
    with pytest.raises(ApiError, match="field not declared in schema") as refusal:
        apiserver.request("PATCH", path, child, "application/apply-patch+yaml")
    assert api_error.ApiError(refusal.value.status_code, "", refusal.value.message).is_refusal


@pytest.mark.parametrize("title", SPECS)
def test_the_pod_security_standard_restricted_admits_every_pod(
    apiserver: ControlPlane, namespace: str, title: str
) -> None:
    label = "pod-security.kubernetes.io/enforce=restricted"
    apiserver.kubectl("label", "namespace", namespace, label)
    apiserver.request(
        "POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "pods"}}
    )
    pods = [
        child["spec"]["template"]
        for (kind, _), child in all_children(SPECS[title]).items()
        if kind in {"Deployment", "Job"}
    ]
    assert len(pods) == 3
    for number, template in enumerate(pods):
        pod = {
            "metadata": {"name": f"pod-{number}", "labels": template["metadata"]["labels"]},
            "spec": {"restartPolicy": "Always", **template["spec"], "serviceAccountName": "pods"},
        }
        apiserver.request("POST", f"/api/v1/namespaces/{namespace}/pods?dryRun=All", pod)
        del pod["spec"]["securityContext"]
        with pytest.raises(ApiError, match="violates PodSecurity"):
            apiserver.request("POST", f"/api/v1/namespaces/{namespace}/pods?dryRun=All", pod)
