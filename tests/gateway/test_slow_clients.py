"""The gateway process under slow, idle and silent clients: none of them delays the others or the end."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable

import pytest

from fake_model import FakeModel
from gateway_process import GatewayProcess, request
from gateway_testbed import eventually, picture, routing

MakeGateway = Callable[..., GatewayProcess]


def test_a_body_that_drips_in_is_refused_at_the_deadline_with_a_problem(
    make_gateway: MakeGateway, model: FakeModel
) -> None:
    gateway = make_gateway(GATEWAY_TIMEOUT_SECONDS="1").start_ready(routing(model))
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
        answer = b""
        connection.settimeout(0.1)
        began = time.monotonic()
        while b"\r\n\r\n" not in answer and time.monotonic() - began < 15:
            try:
                connection.sendall(b"x")
                answer += connection.recv(4096)
            except TimeoutError:
                pass
        assert b" 408 " in answer.split(b"\r\n")[0]


def test_a_head_that_drips_in_is_cut_off_at_the_deadline(make_gateway: MakeGateway, model: FakeModel) -> None:
    gateway = make_gateway(GATEWAY_TIMEOUT_SECONDS="1").start_ready(routing(model))
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=0.1) as connection:

        def closed() -> bool:
            try:
                connection.sendall(b"X")
                return connection.recv(1) == b""
            except TimeoutError:
                return False
            except OSError:
                return True

        connection.sendall(b"POST /predict HTTP/1.1\r\nX-Long: ")
        eventually(closed, "the connection is closed")


def test_heads_that_drip_in_hold_no_thread_for_long(make_gateway: MakeGateway, model: FakeModel) -> None:
    # More of them than threads, in requests that may take longer than this test waits.
    gateway = make_gateway(GATEWAY_TIMEOUT_SECONDS="60").start_ready(routing(model))
    slow = [socket.create_connection(("127.0.0.1", gateway.port)) for _ in range(90)]
    try:
        for each in slow:
            each.sendall(b"POST /predict HTTP/1.1\r\nX-Long: ")
        assert request(gateway.port, "GET", "/").status == 200
        for each in slow:  # some of them are kept for longer, but not for 60 s
            each.settimeout(30)
            assert each.recv(1) == b""
    finally:
        for each in slow:
            each.close()


def test_slow_bodies_take_no_place_from_requests_that_have_arrived(
    make_gateway: MakeGateway, model: FakeModel
) -> None:
    gateway = make_gateway(GATEWAY_TIMEOUT_SECONDS="60").start_ready(routing(model))
    slow = [socket.create_connection(("127.0.0.1", gateway.port)) for _ in range(100)]
    try:
        for each in slow:
            each.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc")
        eventually(lambda: "_connections 100.0" in gateway.metrics(), "all of them are read")
        assert gateway.predict(picture()).status == 200
        assert "requests_in_flight 0.0" in gateway.metrics()
        # They may end what they began.
        for each in slow:
            each.sendall(b"x" * 997)
            each.settimeout(30)
            assert each.recv(4096).startswith(b"HTTP/1.1 415 ")
    finally:
        for each in slow:
            each.close()


def test_idle_connections_hold_no_thread(make_gateway: MakeGateway, model: FakeModel) -> None:
    gateway = make_gateway().start_ready(routing(model))
    idle = [socket.create_connection(("127.0.0.1", gateway.port)) for _ in range(300)]
    try:
        assert gateway.predict(picture()).status == 200
    finally:
        for each in idle:
            each.close()


def test_clients_that_ask_and_do_not_read_keep_no_thread_for_ever(
    make_gateway: MakeGateway, model: FakeModel
) -> None:
    gateway = make_gateway(GATEWAY_TIMEOUT_SECONDS="1").start_ready(routing(model))
    deaf = [socket.socket() for _ in range(90)]  # more than there are threads

    def answered() -> int:
        found = re.search(r'requests_total\{route="/openapi.json",status="200"\} (\d+)', gateway.metrics())
        return int(found[1]) if found else 0

    def stalled() -> bool:
        before = answered()
        time.sleep(0.5)
        return before > 0 and answered() == before

    try:
        for each in deaf:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            each.connect(("127.0.0.1", gateway.port))
            # Many times what the buffers between the two hold.
            each.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 1000)
        eventually(stalled, "nothing is sent any more", 60)
        assert request(gateway.port, "GET", "/").status == 200
    finally:
        for each in deaf:
            each.close()


@pytest.mark.parametrize("path", [b"/nowhere", b"/predict"])
def test_refused_requests_whose_body_never_arrives_do_not_delay_others(
    make_gateway: MakeGateway, model: FakeModel, path: bytes
) -> None:
    # More requests than threads, each of which may take longer to arrive than this test waits.
    gateway = make_gateway(GATEWAY_TIMEOUT_SECONDS="60").start_ready(routing(model))
    stalled = [socket.create_connection(("127.0.0.1", gateway.port)) for _ in range(90)]
    try:
        for each in stalled:
            each.sendall(b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc" % path)
        assert request(gateway.port, "GET", "/").status == 200
    finally:
        for each in stalled:
            each.close()


def test_clients_that_keep_their_connection_open_do_not_delay_others(
    make_gateway: MakeGateway, model: FakeModel
) -> None:
    gateway = make_gateway().start_ready(routing(model))
    # A server that lingers in the thread that accepts, as gunicorn's threaded worker does for 2 s, delays the
    # next request by a minute: longer than a request here may take.
    rude = [socket.create_connection(("127.0.0.1", gateway.port)) for _ in range(30)]
    try:
        for each in rude:
            each.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert gateway.predict(picture()).status == 200
        # They still get their response; then the gateway leaves the connection.
        assert rude[0].makefile("rb").readline() == b"HTTP/1.0 200 OK\r\n"
    finally:
        for each in rude:
            each.close()


def test_a_connection_on_which_nothing_was_sent_does_not_hold_up_the_end(
    make_gateway: MakeGateway, model: FakeModel
) -> None:
    # The time for requests under way is longer than this test waits for the process.
    gateway = make_gateway(GATEWAY_TIMEOUT_SECONDS="60").start_ready(routing(model))
    with socket.create_connection(("127.0.0.1", gateway.port)):
        assert gateway.predict(picture()).status == 200
        gateway.terminate()
        assert gateway.wait() == 0
