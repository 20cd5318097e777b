"""An operator with a stale cache never overwrites the routing of a newer one."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from bare_apiserver import ControlPlane
from imageclassifier_operator.api.kinds import Kind
from imageclassifier_operator.observe.types import Counters
from imageclassifier_operator.runtime.client import KubernetesClient
from imageclassifier_operator.runtime.leader_election import LEASE_NAME, Timing
from operator_process import CLASSIFIERS, PATIENT, Bench, PlayedGateways, RunningOperator, install_crd

pytestmark = pytest.mark.apiserver

CONFIG_MAPS = "/api/v1/namespaces/{}/configmaps"


class HeldBackWatches:
    """Withholds the watch events of ConfigMaps from some operators, like a dead connection."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._watch_objects = KubernetesClient.watch
        self._held: set[threading.Thread] = set()
        self._watching: set[threading.Thread] = set()

        def watch(client: KubernetesClient, kind: Kind, version: str) -> AsyncIterator[Any]:
            return self._watch(client, kind, version)

        monkeypatch.setattr(KubernetesClient, "watch", watch)

    def hold(self, operator: RunningOperator) -> None:
        self._held.add(operator.thread)

    def has_listed(self, operator: RunningOperator) -> bool:
        return operator.thread in self._watching

    async def _watch(self, client: KubernetesClient, kind: Kind, version: str) -> AsyncIterator[Any]:
        thread = threading.current_thread()
        if kind.plural == "configmaps":
            self._watching.add(thread)
        async for event in self._watch_objects(client, kind, version):
            if kind.plural == "configmaps" and thread in self._held:
                await asyncio.Event().wait()
            yield event


@pytest.fixture
def watches(monkeypatch: pytest.MonkeyPatch) -> HeldBackWatches:
    return HeldBackWatches(monkeypatch)


@pytest.fixture
def bench(apiserver: ControlPlane, namespace: str) -> Iterator[Bench]:
    apiserver.ensure_nodes(1)
    install_crd(apiserver)
    yield Bench(apiserver, namespace, PlayedGateways(apiserver))
    apiserver.request("DELETE", CLASSIFIERS.format(namespace))


def operator(bench: Bench, name: str, timing: Timing = PATIENT) -> RunningOperator:
    return RunningOperator(
        bench.apiserver.kubeconfig, bench.gateways, name, timing=timing, namespace=bench.namespace
    )


def start_canary(bench: Bench) -> str:
    """Gives version 2 half of the traffic. Returns the resourceVersion of that moment."""
    steps = [{"percent": 50, "durationSeconds": 3600}]
    bench.create(1, rollout={"steps": steps, "minRequests": 10}, gateway={"timeoutSeconds": 1})
    bench.verify(1)
    bench.wait_ready(1)
    bench.bump(2)
    bench.verify(2)
    bench.wait_phase("Shift")
    version: str = bench.get(f"{CONFIG_MAPS}/pizza-routing")["metadata"]["resourceVersion"]
    return version


def let_the_canary_fail(bench: Bench) -> None:
    """Version 2 is rolled back and removed."""
    bench.gateways.counters = {2: Counters(1000, 1000, {"+Inf": 1000})}
    bench.wait(lambda: bench.status().get("failedVersions"), "the failure in the status")
    bench.wait(lambda: "pizza-serving-v2" not in bench.deployments(), "version 2 to be removed")
    bench.gateways.counters = {}


def leads(bench: Bench, name: str) -> bool:
    leases = bench.get("/apis/coordination.k8s.io/v1/namespaces/{}/leases")["items"]
    lease = next((each for each in leases if each["metadata"]["name"] == LEASE_NAME), None)
    if lease is None:
        return False
    return bool(lease["spec"]["holderIdentity"].startswith(f"{name}_"))


def revisions_since(bench: Bench, version: str) -> list[int]:
    """Every revision of the routing that was ever written since this resourceVersion, in order."""
    return [
        json.loads(state["data"]["routing.json"])["revision"]
        for state in bench.changes(CONFIG_MAPS, "pizza-routing", version)
    ]


def assert_version_2_stays_rolled_back(bench: Bench, since: str) -> None:
    revisions = revisions_since(bench, since)
    assert revisions == sorted(revisions)
    assert {each["version"]: each["percent"] for each in bench.routing()["versions"]} == {1: 100}
    assert [failed["version"] for failed in bench.status()["failedVersions"]] == [2]
    assert "pizza-serving-v2" not in bench.deployments()


def test_a_new_leader_with_a_stale_watch_continues_from_the_stored_state(
    bench: Bench, watches: HeldBackWatches
) -> None:
    with operator(bench, "first") as first:
        since = start_canary(bench)
        with operator(bench, "second") as second:
            watches.hold(second)
            bench.wait(lambda: watches.has_listed(second), "the second operator to have listed")
            let_the_canary_fail(bench)
            first.stop()
            bench.wait(lambda: leads(bench, "second"), "the second operator to lead")
            bench.patch({"spec": {"replicas": 2}})
            bench.wait(
                lambda: bench.deployments()["pizza-serving-v1"]["spec"]["replicas"] == 2,
                "the second operator to act",
            )
            assert_version_2_stays_rolled_back(bench, since)


def test_a_leader_that_stood_still_while_another_led_writes_nothing_old(
    bench: Bench, watches: HeldBackWatches
) -> None:
    wake = threading.Event()
    with operator(bench, "first", Timing()) as first:
        bench.wait(lambda: leads(bench, "first"), "the first operator to lead")
        with operator(bench, "second"):
            try:
                since = start_canary(bench)
                watches.hold(first)
                first.freeze_until(wake)
                bench.wait(lambda: leads(bench, "second"), "the second operator to lead")
                let_the_canary_fail(bench)
            finally:
                wake.set()
            bench.wait(lambda: not first.is_running, "the first operator to end")
            assert_version_2_stays_rolled_back(bench, since)
