"""Probes and metrics: kubelets and Prometheus reach them over IPv4 and IPv6."""

import asyncio
import socket

import aiohttp
import pytest
from free_ports import free_port

from imageclassifier_operator import metrics
from imageclassifier_operator.runtime import kubelet_probes

HOSTS = ["127.0.0.1", pytest.param("[::1]", marks=pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6"))]


async def status(url: str) -> int:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status


@pytest.mark.parametrize("host", HOSTS)
def test_the_operator_is_healthy_at_once_and_ready_once_its_lists_are_complete(host: str) -> None:
    listed, port = [], free_port()

    async def ask() -> list[int]:
        async with kubelet_probes.serve(port, lambda: bool(listed)):
            found = [await status(f"http://{host}:{port}/{path}") for path in ("healthz", "readyz")]
            listed.append("all kinds")
            return [*found, await status(f"http://{host}:{port}/readyz")]

    assert asyncio.run(ask()) == [200, 503, 200]


def test_the_metrics_are_served_on_both_address_families() -> None:
    port = free_port()
    metrics.serve(port, kubelet_probes.every_address())
    for host in ("127.0.0.1", "[::1]") if socket.has_dualstack_ipv6() else ("127.0.0.1",):
        assert asyncio.run(status(f"http://{host}:{port}/metrics")) == 200
