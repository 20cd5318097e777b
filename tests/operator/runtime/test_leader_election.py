"""A leader stops to lead when it is cancelled."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from bare_apiserver import ControlPlane
from imageclassifier_operator.runtime.client import KubernetesClient
from imageclassifier_operator.runtime.leader_election import LeaderElection, Timing

pytestmark = pytest.mark.apiserver

QUICK = Timing(duration_seconds=300, deadline_seconds=200, retry_seconds=0.01)


def call_after(steps: int, call: Callable[[], object]) -> None:
    """Call this after so many iterations of the event loop."""
    if steps:
        asyncio.get_running_loop().call_soon(call_after, steps - 1, call)
    else:
        call()


@pytest.mark.parametrize("steps", range(4))
def test_a_leader_that_is_cancelled_as_a_renewal_ends_renews_no_more(
    apiserver: ControlPlane, namespace: str, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    async def renew_and_cancel() -> bool:
        client = await KubernetesClient.connect(None)
        election = LeaderElection(client, namespace, "only", QUICK)
        await election.acquire()
        replace = client.replace

        async def replace_and_cancel(*arguments: Any) -> dict[str, Any]:
            replaced = await replace(*arguments)
            client.replace = replace  # type: ignore[method-assign]
            asyncio.get_running_loop().call_soon(call_after, steps, holding.cancel)
            return replaced

        client.replace = replace_and_cancel  # type: ignore[method-assign]
        holding = asyncio.create_task(election.hold())
        try:
            await asyncio.wait({holding}, timeout=30)
            return holding.cancelled()
        finally:
            holding.cancel()
            await client.close()

    monkeypatch.setenv("KUBECONFIG", str(apiserver.kubeconfig))
    assert asyncio.run(renew_and_cancel())
