"""The internal port: what it says about the public port, and clients that do nothing."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from fake_model import FakeModel
from gateway_process import GatewayProcess, request
from gateway_testbed import eventually, routing, write_atomically
from imageclassifier_gateway.config import Settings
from imageclassifier_gateway.gateway import build_gateway
from imageclassifier_gateway.http.internal_answers import InternalAnswers
from imageclassifier_gateway.http.internal_server import InternalServer

MakeGateway = Callable[..., GatewayProcess]


def threads(gateway: GatewayProcess) -> int:
    return len(list(Path(f"/proc/{gateway.pid}/task").iterdir()))


@pytest.mark.parametrize("sent", [b"", b"GET /livez HTTP/1.1\r\nX: "], ids=["silent", "half a request"])
def test_connections_of_the_internal_port_that_do_nothing_take_few_threads_and_stop_no_probe(
    make_gateway: MakeGateway, model: FakeModel, sent: bytes
) -> None:
    gateway = make_gateway().start_ready(routing(model))
    before = threads(gateway)
    opened = []
    try:
        for _ in range(200):
            opened.append(socket.create_connection(("127.0.0.1", gateway.internal_port)))
            opened[-1].sendall(sent)
        assert gateway.internal("/livez") == 200
        eventually(lambda: threads(gateway) <= before + 40, "the threads of the oldest have ended")
        assert opened[0].recv(1) == b""
        assert request(gateway.internal_port, "GET", "/rollout").status == 200
    finally:
        for each in opened:
            each.close()


def test_a_client_that_does_not_read_its_responses_stops_no_probe(
    make_gateway: MakeGateway, model: FakeModel
) -> None:
    gateway = make_gateway().start_ready(routing(model))
    opened = []
    try:
        for _ in range(40):
            opened.append(socket.create_connection(("127.0.0.1", gateway.internal_port)))
            opened[-1].sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 200)
        assert gateway.internal("/livez") == 200
    finally:
        for each in opened:
            each.close()


def test_a_pod_whose_public_port_is_deaf_is_neither_ready_nor_alive(tmp_path: Path, model: FakeModel) -> None:
    with socket.create_server(
        ("127.0.0.1", 0)
    ) as deaf:  # the kernel accepts the connection, and the process never responds
        settings = Settings(routing_file=tmp_path / "routing.json", port=deaf.getsockname()[1])
        write_atomically(settings.routing_file, routing(model))
        gateway = build_gateway(settings)
        gateway.start()
        server = InternalServer(InternalAnswers(gateway), 0)
        server.start()
        try:
            eventually(lambda: gateway.unready_reason() is None, "the gateway has its model")
            for path in ("/readyz", "/livez"):
                answer = request(server.port, "GET", path)
                assert (answer.status, answer.body) == (503, b"The public port does not answer.\n")
        finally:
            server.shutdown()
            server.server_close()
            gateway.stop()
