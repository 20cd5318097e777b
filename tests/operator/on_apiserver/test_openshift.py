"""A cluster like OpenShift: it assigns the users of pods, and its DNS servers listen on port 5353."""

from collections.abc import Iterator
from typing import Any

import pytest

from imageclassifier_operator.settings import DnsPlace
from operator_process import Bench, PlayedGateways, RunningOperator, install_crd

pytestmark = pytest.mark.apiserver

LEFT_TO_THE_CLUSTER: dict[str, Any] = {"template": {"spec": {"securityContext": {}}}}


@pytest.fixture
def openshift(apiserver: Any, namespace: str) -> Iterator[Bench]:
    """A namespace that admits only restricted pods, with an operator that knows where the DNS servers are."""
    apiserver.ensure_nodes(1)
    install_crd(apiserver)
    labels = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    apiserver.request("PATCH", f"/api/v1/namespaces/{namespace}", labels, "application/merge-patch+json")
    gateways = PlayedGateways(apiserver)
    dns = (DnsPlace(namespace="openshift-dns", port=5353),)
    with RunningOperator(apiserver.kubeconfig, gateways, dns=dns):
        yield Bench(apiserver, namespace, gateways)


def dns_of(policy: dict[str, Any]) -> tuple[Any, list[int]]:
    """Where a NetworkPolicy lets its pods resolve names: the namespace, and the ports."""
    rule = policy["spec"]["egress"][0]
    labels = rule["to"][0]["namespaceSelector"]["matchLabels"]
    return labels["kubernetes.io/metadata.name"], [port["port"] for port in rule["ports"]]


def test_a_version_serves_with_users_that_the_cluster_assigns_and_dns_on_another_port(
    openshift: Bench,
) -> None:
    bench = openshift
    bench.create(1, serving=LEFT_TO_THE_CLUSTER, gateway=LEFT_TO_THE_CLUSTER)
    bench.wait(lambda: bench.pods("verify"), "the pod of the verification")
    [verification] = bench.pods("verify")
    bench.verify(1)
    bench.wait_ready(1)
    for pod in (*bench.pods("serving"), *bench.pods("gateway"), verification):
        context = pod["spec"]["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context.keys().isdisjoint({"runAsUser", "runAsGroup"})
    policies = bench.get("/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies")["items"]
    with_egress = [policy for policy in policies if policy["spec"].get("egress")]
    assert with_egress
    assert {str(dns_of(policy)) for policy in with_egress} == {str(("openshift-dns", [5353, 5353]))}
