"""The installation on the laptop cluster: leader election, permissions, and the effect of a failover."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.cluster

REPOSITORY = Path(__file__).parents[2]
SYSTEM = ["--namespace", "imageclassifier-system"]
OPERATOR = "app.kubernetes.io/name=imageclassifier-operator"
ACCOUNT = "system:serviceaccount:imageclassifier-system:imageclassifier-operator"

Kubectl = Any  # of conftest.py, which tests do not import
Wait = Callable[..., Any]


def operator_pods(cluster_kubectl: Kubectl) -> dict[str, dict[str, Any]]:
    items = cluster_kubectl.get("pods", *SYSTEM, "--selector", OPERATOR)["items"]
    return {pod["metadata"]["name"]: pod for pod in items}


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pod["status"].get("containerStatuses", [{"ready": False}])
    return found


def holder(cluster_kubectl: Kubectl) -> str:
    """The name of the pod that holds the Lease."""
    lease = cluster_kubectl.get("lease", "imageclassifier-operator", *SYSTEM)
    return str(lease["spec"]["holderIdentity"]).partition("_")[0]


def test_two_replicas_run_and_one_of_them_acts(
    installed: object, cluster_kubectl: Kubectl, wait_for: Wait
) -> None:
    def are_two_ready_and_one_holds_the_lease() -> bool:
        pods = operator_pods(cluster_kubectl)
        ready = [pod for pod in pods.values() if all(each["ready"] for each in containers(pod))]
        return len(ready) == len(pods) == 2 and holder(cluster_kubectl) in pods

    wait_for(are_two_ready_and_one_holds_the_lease, "two replicas to be ready, and one to hold the Lease")


def test_the_operator_has_the_rights_of_its_roles_and_no_others(
    installed: object, cluster_kubectl: Kubectl
) -> None:
    """The API server itself reports the rights, so all roles in the cluster count."""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": "default"},
    }

    def rights(account: str) -> set[tuple[str, str, str]]:
        answer = cluster_kubectl(
            *("create", "--filename=-", "--output=json", "--validate=false", f"--as={account}"),
            *("--as-group=system:serviceaccounts", "--as-group=system:authenticated"),
            stdin=json.dumps(review),
        )
        return {
            (group, resource, verb)
            for rule in json.loads(answer)["status"]["resourceRules"]
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }

    documents = yaml.safe_load_all((REPOSITORY / "operator/install/install.yaml").read_text("utf-8"))
    [role] = [
        document
        for document in documents
        if (document["kind"], document["metadata"]["name"]) == ("ClusterRole", "imageclassifier-operator")
    ]
    granted = {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert rights(ACCOUNT) - rights("system:serviceaccount:default:default") == granted


def test_when_the_leader_stops_the_other_replica_takes_over_and_no_pod_restarts(
    installed: object, cluster_kubectl: Kubectl, kubectl: Kubectl, wait_for: Wait
) -> None:
    kubectl.apply(
        {
            "apiVersion": "imageclassifier.dev/v1alpha1",
            "kind": "ImageClassifier",
            "metadata": {"name": "pizza"},
            "spec": {
                "model": {
                    "name": "pizza-model",
                    "version": 1,
                    "source": {"image": {"reference": "pizza-model:{version}"}},
                },
                "gateway": {"service": {"type": "ClusterIP"}, "replicas": 1},
            },
        }
    )

    def is_ready() -> bool:
        status = kubectl.get("imageclassifier", "pizza").get("status", {})
        return any(
            condition["type"] == "Ready" and condition["status"] == "True"
            for condition in status.get("conditions", [])
        )

    def pods() -> dict[str, int]:
        items = kubectl.get("pods", "--selector=app.kubernetes.io/component!=verify")["items"]
        return {
            pod["metadata"]["uid"]: sum(s["restartCount"] for s in pod["status"]["containerStatuses"])
            for pod in items
        }

    wait_for(is_ready, "the ImageClassifier to be ready", 300)
    before = pods()

    def delete_the_acting_one() -> str | None:  # other tests may do the same at the same time
        acting = holder(cluster_kubectl)
        if acting not in operator_pods(cluster_kubectl):
            return None
        cluster_kubectl("delete", "pod", acting, *SYSTEM, "--wait=false")
        return acting

    acting = wait_for(delete_the_acting_one, "the replica that acts")
    wait_for(lambda: holder(cluster_kubectl) not in (acting, ""), "another replica to take the Lease")
    # The new leader reconciles: it restores a deleted Service.
    kubectl("delete", "service", "pizza-gateway")
    wait_for(
        lambda: kubectl.get("services", "--selector=app.kubernetes.io/component=gateway")["items"],
        "the gateway's Service to be put back",
    )
    assert pods() == before
