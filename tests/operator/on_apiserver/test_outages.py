"""Two replicas, replicas that end, and watches that break."""

import asyncio
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator

import pytest

from bare_apiserver import ControlPlane
from imageclassifier_operator.api.kinds import CONFIG_MAPS, Kind
from imageclassifier_operator.runtime.client import KubernetesClient, Page
from imageclassifier_operator.runtime.leader_election import LEASE_NAME
from operator_process import CLASSIFIERS, Bench, PlayedGateways, RunningOperator, install_crd

pytestmark = pytest.mark.apiserver

LEASES = "/apis/coordination.k8s.io/v1/namespaces/{}/leases"


@pytest.fixture
def bench(apiserver: ControlPlane, namespace: str) -> Iterator[Bench]:
    """A namespace, which also takes the operators' Lease, and no operator yet."""
    yield started(apiserver, namespace)
    apiserver.request("DELETE", CLASSIFIERS.format(namespace))


@pytest.fixture
def breakable(start_apiserver: Callable[[], ControlPlane]) -> Iterator[Bench]:
    """The same on a control plane of its own."""
    apiserver = start_apiserver()
    with apiserver.namespace() as namespace:
        yield started(apiserver, namespace)


def started(apiserver: ControlPlane, namespace: str) -> Bench:
    apiserver.ensure_nodes(1)
    install_crd(apiserver)
    return Bench(apiserver, namespace, PlayedGateways(apiserver))


def operator(bench: Bench, name: str) -> RunningOperator:
    return RunningOperator(bench.apiserver.kubeconfig, bench.gateways, name, namespace=bench.namespace)


def holder(bench: Bench) -> str:
    name: str = bench.get(f"{LEASES}/{LEASE_NAME}")["spec"]["holderIdentity"].split("_")[0]
    return name


def is_ready(running: RunningOperator) -> bool:
    """What the kubelet's readiness probe finds."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{running.settings.probe_port}/readyz") as response:
            return bool(response.status == 200)
    except urllib.error.URLError:  # not ready, or not listening yet
        return False


def serve(bench: Bench) -> None:
    bench.create(1)
    bench.verify(1)
    bench.wait_ready(1)


def test_of_two_operators_one_leads_and_the_other_takes_over_without_a_pod_restart(bench: Bench) -> None:
    server = bench.apiserver
    with operator(bench, "first") as first:
        serve(bench)
        assert holder(bench) == "first"
        with operator(bench, "second"):
            pods = {pod["metadata"]["uid"] for pod in bench.pods("serving") + bench.pods("gateway")}
            mark = server.audit_mark()
            first.stop()
            bench.wait(lambda: holder(bench) == "second", "the second operator to lead")
            bench.bump(2)
            bench.verify(2)
            bench.wait_ready(2)
            assert pods <= {pod["metadata"]["uid"] for pod in bench.pods("serving") + bench.pods("gateway")}
            children = [
                event.name
                for event in server.audit_events(since=mark)
                if event.is_write
                and (event.resource, event.namespace) == ("deployments", bench.namespace)
                and event.field_manager == "imageclassifier-operator"
            ]
            assert set(children) <= {"pizza-serving-v1", "pizza-serving-v2"}, (
                "the gateway was not to be touched"
            )


def test_a_new_operator_continues_the_rollout_of_a_killed_one(bench: Bench) -> None:
    with operator(bench, "first"):
        serve(bench)
        bench.bump(2)
        bench.wait_phase("Verify")
    bench.verify(2)  # while no operator runs
    with operator(bench, "second"):
        bench.wait_ready(2)


def test_a_replica_that_has_not_every_kind_listed_yet_does_not_take_the_lease(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """During a rollout, with a free Lease: the state is in the ConfigMaps, and their list is delayed."""
    with operator(bench, "first"):
        serve(bench)
        bench.bump(2)
        bench.wait_phase("Verify")
    asked, arrived, list_page = threading.Event(), threading.Event(), KubernetesClient.list_page

    async def list_config_maps_late(client: KubernetesClient, kind: Kind, token: str) -> Page:
        if kind == CONFIG_MAPS:
            asked.set()
            await asyncio.to_thread(arrived.wait)
        return await list_page(client, kind, token)

    monkeypatch.setattr(KubernetesClient, "list_page", list_config_maps_late)
    before, mark = bench.deployments(), bench.apiserver.audit_mark()
    with operator(bench, "second") as second:
        try:
            assert asked.wait(60)
            time.sleep(2)  # what is wrong would happen meanwhile
            assert holder(bench) != "second", "it could not reconcile anything"
            assert not is_ready(second)
            assert [
                (event.verb, event.resource, event.name)
                for event in bench.apiserver.audit_events(since=mark)
                if event.is_write
                and event.namespace == bench.namespace
                and event.resource != "leases"
                and event.user_agent.startswith("OpenAPI-Generator")
            ] == []
        finally:
            arrived.set()
        bench.wait(lambda: is_ready(second), "the second operator to be ready")
        bench.verify(2)
        bench.wait_ready(2)
        assert "pizza-serving-v1" in bench.deployments(), "version 1 is kept warm"
        assert before.keys() <= bench.deployments().keys()


def test_children_deleted_while_the_watch_was_broken_are_restored(breakable: Bench) -> None:
    bench, server = breakable, breakable.apiserver
    with (
        server.proxy() as proxy,
        RunningOperator(server.kubeconfig_for(proxy), bench.gateways, resync_seconds=2),
    ):
        serve(bench)
        path = f"/apis/policy/v1/namespaces/{bench.namespace}/poddisruptionbudgets/pizza-gateway"
        proxy.sever()
        server.request("DELETE", path)
        # A restarted API server has lost its history: the watches start again with a list.
        server.kill("kube-apiserver")
        server.start("kube-apiserver")
        proxy.restore()

        def is_back() -> bool:
            budgets = bench.get("/apis/policy/v1/namespaces/{}/poddisruptionbudgets")["items"]
            return any(budget["metadata"]["name"] == "pizza-gateway" for budget in budgets)

        bench.wait(is_back, "the PodDisruptionBudget to be back")


def test_an_operator_whose_lease_another_took_ends(bench: Bench) -> None:
    with operator(bench, "first") as running:
        bench.wait(lambda: bench.get(LEASES)["items"] and holder(bench) == "first", "the Lease")
        bench.apiserver.request(
            "PATCH",
            f"{LEASES}/{LEASE_NAME}".format(bench.namespace),
            {"spec": {"holderIdentity": "usurper"}},
            "application/merge-patch+json",
        )
        bench.wait(lambda: not running.is_running, "the operator to end")


def test_when_state_and_status_are_both_lost_the_version_keeps_serving(bench: Bench) -> None:
    with operator(bench, "first"):
        serve(bench)
        bench.bump(2)
        bench.wait_phase("Verify")
        before = bench.routing()
    bench.apiserver.request("DELETE", f"/api/v1/namespaces/{bench.namespace}/configmaps/pizza-routing")
    body = bench.classifier()
    body["status"] = {}
    path = f"{CLASSIFIERS.format(bench.namespace)}/pizza/status"
    bench.apiserver.request("PUT", path, body)
    with operator(bench, "second"):
        bench.wait(lambda: bench.status().get("servingVersion") == 1, "version 1 to serve on")
        assert bench.routing()["serving"] == 1
        assert bench.routing()["revision"] > before["revision"]
        bench.verify(2)
        bench.wait_ready(2)


def test_a_replica_with_nothing_to_list_is_ready_and_leads(breakable: Bench) -> None:
    with RunningOperator(breakable.apiserver.kubeconfig, breakable.gateways, "only") as running:
        breakable.wait(lambda: is_ready(running), "the operator to be ready")

        def leads() -> bool:  # it is ready just before it creates its Lease
            leases = breakable.get("/apis/coordination.k8s.io/v1/namespaces/default/leases")["items"]
            holders = {each["metadata"]["name"]: each["spec"]["holderIdentity"] for each in leases}
            return bool(holders.get(LEASE_NAME, "").startswith("only_"))

        breakable.wait(leads, "it to lead")
