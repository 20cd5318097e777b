"""The client limits its concurrent requests."""

import asyncio
import json
from pathlib import Path

import pytest
from aiohttp import web

from imageclassifier_operator.api.kinds import CONFIG_MAPS, LEASES
from imageclassifier_operator.runtime.client import KubernetesClient
from imageclassifier_operator.runtime.transport import MAX_REQUESTS
from loopback_server import answering


def kubeconfig(directory: Path, port: int) -> Path:
    path = directory / "kubeconfig"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "test", "user": {"token": "t"}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "current-context": "test",
    }
    path.write_text(json.dumps(config))
    return path


def test_a_slow_api_server_gets_no_more_requests_at_once_and_the_lease_does_not_wait_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ask() -> None:
        under_way, most, full, go_on = 0, 0, asyncio.Event(), asyncio.Event()

        async def answer(request: web.Request) -> web.Response:
            nonlocal under_way, most
            if "leases" not in request.path:
                under_way += 1
                most = max(most, under_way)
                if under_way == MAX_REQUESTS:
                    full.set()
                await go_on.wait()
                under_way -= 1
            return web.json_response({"metadata": {"name": "x"}})

        async with answering(answer) as port:
            monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, port)))
            client = await KubernetesClient.connect(None)
            try:
                reads = [asyncio.create_task(client.read(CONFIG_MAPS, "n", f"c-{n}")) for n in range(50)]
                await full.wait()
                assert await client.read(LEASES, "n", "lease") is not None
                go_on.set()
                assert len(await asyncio.gather(*reads)) == 50
                assert most == MAX_REQUESTS
            finally:
                await client.close()

    asyncio.run(asyncio.wait_for(ask(), 60))
