"""The reports of gateways."""

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web
from waiting import wait_in_loop

from imageclassifier_operator.observe import gateway_client
from imageclassifier_operator.observe.gateway_client import HttpGatewayClient, parse_report
from imageclassifier_operator.observe.types import AccessReport
from loopback_server import answering


def test_a_report_in_another_schema_is_refused():
    document = {"schema": 1, "start_id": "s", "revision": 3, "versions": {}, "shadow": None}
    assert parse_report(document).revision == 3
    with pytest.raises(ValueError, match="schema 2"):
        parse_report({**document, "schema": 2})


@pytest.mark.parametrize(
    ("reported", "access"),
    [
        ({}, AccessReport()),
        ({"access": {"needs_key": False, "error": None}}, AccessReport()),
        ({"access": {"needs_key": True, "error": None}}, AccessReport(needs_key=True)),
        ({"access": {"needs_key": True, "error": "No key."}}, AccessReport(needs_key=True, error="No key.")),
    ],
)
def test_a_gateway_of_an_earlier_release_counts_as_open(reported, access):
    document = {"schema": 1, "start_id": "s", "revision": 3, "versions": {}, "shadow": None}
    assert parse_report({**document, **reported}).access == access


def test_requests_that_follow_each_other_share_a_connection_which_then_does_not_stay_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A thousand classifiers would otherwise keep a thousand connections open between two probes."""
    monkeypatch.setattr(gateway_client, "IDLE_SECONDS", 0.2)
    report = {"schema": 1, "start_id": "s", "revision": 3, "versions": {}, "shadow": None}
    connections: set[Any] = set()

    async def answer(request: web.Request) -> web.Response:
        assert request.path == "/rollout"
        connections.add(request.transport)
        return web.Response(text=json.dumps(report))

    async def poll() -> None:
        pods = [{"metadata": {"uid": "u"}, "status": {"podIP": "127.0.0.1"}}]
        async with answering(answer) as port:
            client = HttpGatewayClient(port)
            try:
                for _ in range(3):
                    assert set(await client.fetch_reports(pods)) == {"u"}
                (connection,) = connections
                await wait_in_loop(connection.is_closing, "the end of the connection")
            finally:
                await client.close()

    asyncio.run(poll())
