"""Polling a running verification for its progress."""

import asyncio
from typing import Any

import pytest
from free_ports import free_port

from imageclassifier_gateway.verify.progress import Progress
from imageclassifier_operator.observe.gateway_client import HttpGatewayClient
from imageclassifier_operator.observe.types import VerificationProgress
from imageclassifier_operator.reconcile.verification_progress import PROGRESS_POLL_SECONDS, ProgressPoller


def pod(uid: str = "a", phase: str = "Running") -> dict[str, Any]:
    return {"metadata": {"uid": uid}, "status": {"phase": phase, "podIP": "127.0.0.1"}}


class Answers:
    """A verification that reports what the test says."""

    def __init__(self) -> None:
        self.progress: VerificationProgress | None = VerificationProgress(10, 1)
        self.polls = 0

    async def fetch_reports(self, _: Any) -> dict[str, Any]:
        raise NotImplementedError

    async def fetch_progress(self, _: Any) -> VerificationProgress | None:
        self.polls += 1
        return self.progress


def poll(poller: ProgressPoller, client: Any, pods: list[Any], now: float) -> VerificationProgress | None:
    return asyncio.run(poller.poll(client, pods, now))


def test_a_pod_is_polled_every_few_seconds_and_keeps_its_last_answer() -> None:
    poller, client = ProgressPoller(), Answers()
    assert poll(poller, client, [pod()], 100.0) == VerificationProgress(10, 1)
    client.progress = None  # it did not respond in time
    assert poll(poller, client, [pod()], 100.0 + PROGRESS_POLL_SECONDS / 2) == VerificationProgress(10, 1)
    assert client.polls == 1
    assert poll(poller, client, [pod()], 100.0 + PROGRESS_POLL_SECONDS) == VerificationProgress(10, 1)
    assert client.polls == 2


@pytest.mark.parametrize("pods", [[], [pod("b")], [pod(phase="Succeeded")]], ids=["none", "another", "ended"])
def test_the_progress_of_a_pod_that_is_gone_is_forgotten(pods: list[Any]) -> None:
    poller, client = ProgressPoller(), Answers()
    poll(poller, client, [pod()], 100.0)
    client.progress = None
    assert poll(poller, client, pods, 100.1) is None


def test_the_program_and_the_operator_understand_each_other() -> None:
    port = free_port()
    progress = Progress()
    server = progress.serve(port)

    async def fetch() -> VerificationProgress | None:
        client = HttpGatewayClient(port)
        try:
            return await client.fetch_progress(pod())
        finally:
            await client.close()

    try:
        assert asyncio.run(fetch()) is None
        progress.total, progress.done, progress.unreadable = 10_000, 3_120, 2
        assert asyncio.run(fetch()) == VerificationProgress(10_000, 3_120, 2)
    finally:
        server.shutdown()
        server.server_close()
    assert asyncio.run(fetch()) is None
