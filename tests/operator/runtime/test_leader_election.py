"""A leader renews beside all other work, a cancelled one no more, and the release has a deadline."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from bare_apiserver import ControlPlane
from imageclassifier_operator.runtime.client import KubernetesClient
from imageclassifier_operator.runtime.leader_election import LEASE_NAME, LeaderElection, Timing
from imageclassifier_operator.runtime.transport import REQUEST_TIMEOUT_SECONDS

pytestmark = pytest.mark.apiserver

QUICK = Timing(duration_seconds=300, deadline_seconds=200, retry_seconds=0.01)


def call_after(steps: int, call: Callable[[], object]) -> None:
    """Call `call` after `steps` iterations of the event loop."""
    if steps:
        asyncio.get_running_loop().call_soon(call_after, steps - 1, call)
    else:
        call()


@pytest.mark.parametrize("steps", range(4))
def test_a_leader_that_is_cancelled_as_a_renewal_ends_renews_no_more(
    apiserver: ControlPlane, namespace: str, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    async def renew_and_cancel() -> bool:
        client, loop = await KubernetesClient.connect(None), asyncio.get_running_loop()

        async def connect() -> KubernetesClient:
            renewing = await KubernetesClient.connect(None)
            replace = renewing.replace

            async def replace_and_cancel(*arguments: Any) -> dict[str, Any]:
                replaced = await replace(*arguments)
                renewing.replace = replace  # type: ignore[method-assign]
                loop.call_soon_threadsafe(call_after, steps, holding.cancel)
                return replaced

            renewing.replace = replace_and_cancel  # type: ignore[method-assign]
            return renewing

        election = LeaderElection(client, namespace, "only", QUICK, connect)
        await election.acquire()
        holding = asyncio.create_task(election.hold())
        try:
            await asyncio.wait({holding}, timeout=30)
            return holding.cancelled()
        finally:
            holding.cancel()
            await client.close()

    monkeypatch.setenv("KUBECONFIG", str(apiserver.kubeconfig))
    assert asyncio.run(renew_and_cancel())


def test_a_leader_renews_while_its_event_loop_has_no_turn_for_it(
    apiserver: ControlPlane, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On an overloaded machine, each turn of the workers takes seconds."""
    path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{LEASE_NAME}"

    def version() -> str:
        found: str = apiserver.request("GET", path)["metadata"]["resourceVersion"]
        return found

    async def hold_and_block() -> None:
        client = await KubernetesClient.connect(None)
        election = LeaderElection(client, namespace, "only", QUICK)
        await election.acquire()
        holding = asyncio.create_task(election.hold())
        await asyncio.sleep(0)  # it starts
        before = version()
        apiserver.wait_for(lambda: version() != before, "a renewal", 60)  # blocks the event loop
        holding.cancel()
        await asyncio.wait({holding})
        await client.close()

    monkeypatch.setenv("KUBECONFIG", str(apiserver.kubeconfig))
    asyncio.run(hold_and_block())


def test_the_release_of_a_lease_waits_no_longer_than_a_renewal_for_the_api_server(
    apiserver: ControlPlane, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A single request waits longer. Two of them would take the whole grace period of the pod."""

    async def release() -> bool:
        client = await KubernetesClient.connect(None)
        election = LeaderElection(client, namespace, "only", Timing(deadline_seconds=0.2))
        await election.acquire()
        proxy.stall()
        releasing = asyncio.create_task(election.release())
        try:
            done, _ = await asyncio.wait({releasing}, timeout=REQUEST_TIMEOUT_SECONDS - 1)
            return bool(done)
        finally:
            proxy.restore()
            await releasing
            await client.close()

    with apiserver.proxy() as proxy:
        monkeypatch.setenv("KUBECONFIG", str(apiserver.kubeconfig_for(proxy)))
        assert asyncio.run(release())
