"""No client keeps another from its answer: connections that are silent, slow, too many or malformed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import resource
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from fake_model import FakeModel
from gateway_process import GatewayProcess, request
from gateway_testbed import eventually, picture, routing
from imageclassifier_gateway.config import Settings

MakeGateway = Callable[..., GatewayProcess]


@contextlib.contextmanager
def connections(gateway: GatewayProcess, count: int) -> Iterator[list[socket.socket]]:
    """This many open connections that have sent nothing yet."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    opened: list[socket.socket] = []
    try:
        for _ in range(count):
            opened.append(socket.create_connection(("127.0.0.1", gateway.port), timeout=60))
        yield opened
    finally:
        for each in opened:
            each.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def figure(gateway: GatewayProcess, name: str) -> float:
    """A metric's value; 0 while it has none."""
    found = re.search(rf"^imageclassifier_gateway_{re.escape(name)} (\S+)$", gateway.metrics(), re.MULTILINE)
    return float(found[1]) if found else 0.0


def exchange(port: int, sent: bytes, *, end: bool = True) -> bytes:
    """Sends these bytes; returns everything the server sends until it closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(sent)
        if end:
            connection.shutdown(socket.SHUT_WR)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    return received


def test_3000_silent_connections_keep_no_answer_from_a_good_client(
    make_gateway: MakeGateway, model: FakeModel
) -> None:
    gateway = make_gateway().start_ready(routing(model))
    with connections(gateway, 3000):
        for _ in range(20):
            assert gateway.predict(picture()).status == 200
        assert gateway.internal("/readyz") == 200
        assert figure(gateway, "connections") <= 2000


@pytest.mark.skipif(not hasattr(socket, "TCP_DEFER_ACCEPT"), reason="only Linux keeps silent connections")
def test_the_kernel_keeps_a_connection_until_its_first_byte(
    make_gateway: MakeGateway, model: FakeModel
) -> None:
    gateway = make_gateway().start_ready(routing(model))
    with connections(gateway, 50) as silent:
        silent[0].sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n")
        assert silent[0].recv(15) == b"HTTP/1.1 200 OK"
        assert figure(gateway, "connections") == 1


def test_a_refusal_of_a_large_body_waits_and_its_connection_can_be_used_again(
    shared_gateway: GatewayProcess,
) -> None:
    with socket.create_connection(("127.0.0.1", shared_gateway.port), timeout=60) as client:
        began = time.monotonic()
        head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
        client.sendall(head + bytes(100_000))
        assert b"HTTP/1.1 4" in client.recv(100_000)
        assert time.monotonic() - began >= 0.2
        client.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert client.makefile("rb").read(15) == b"HTTP/1.1 200 OK"


def test_3000_heads_or_bodies_that_never_end_keep_no_answer_from_a_good_client(
    make_gateway: MakeGateway, model: FakeModel
) -> None:
    gateway = make_gateway(GATEWAY_TIMEOUT_SECONDS="60").start_ready(routing(model))
    with connections(gateway, 3000) as slow:
        for index, each in enumerate(slow):
            head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
            with contextlib.suppress(OSError):  # evicted
                each.sendall(head + (b"\r\nabc" if index % 2 else b""))
        for _ in range(20):
            assert gateway.predict(picture()).status == 200


def test_a_connection_that_is_never_used_ends_long_before_one_that_was(
    make_gateway: MakeGateway, model: FakeModel
) -> None:
    gateway = make_gateway().start_ready(routing(model))
    with connections(gateway, 2) as (used, silent):
        used.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n")
        assert used.recv(15) == b"HTTP/1.1 200 OK"
        assert silent.recv(1) == b""
        used.sendall(b"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b"HTTP/1.1 200 OK" in used.makefile("rb").read()


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(shared_gateway: GatewayProcess) -> None:
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\nExpect: 100-continue\r\n\r\n"
    received = exchange(shared_gateway.port, head, end=False)
    assert received.startswith(b"HTTP/1.1 413 ")
    assert b"The body has 1,000,000,000 bytes; at most" in received


def test_a_body_for_a_path_that_takes_none_is_refused_before_it_is_sent(
    shared_gateway: GatewayProcess,
) -> None:
    head = b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n"
    assert exchange(shared_gateway.port, head, end=False).startswith(b"HTTP/1.1 404 ")


def test_an_acceptable_body_gets_100_continue(shared_gateway: GatewayProcess) -> None:
    body = picture("red")
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n" % len(
        body
    )
    with socket.create_connection(("127.0.0.1", shared_gateway.port), timeout=60) as connection:
        connection.sendall(head)
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert connection.recv(15) == b"HTTP/1.1 200 OK"


def test_hundreds_of_pipelined_requests_that_need_no_thread_are_answered_one_by_one(
    shared_gateway: GatewayProcess,
) -> None:
    count = 500
    requests = b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n" * count
    last = b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert exchange(shared_gateway.port, requests + last, end=False).count(b"HTTP/1.1 204 ") == count + 1


def test_refused_uploads_that_continue_hold_no_thread(make_gateway: MakeGateway, model: FakeModel) -> None:
    gateway = make_gateway().start_ready(routing(model))
    with connections(gateway, 150) as uploads:
        for each in uploads:
            each.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n")
            each.sendall(bytes(1000))
        for each in uploads:
            assert each.recv(12) == b"HTTP/1.1 413"
            each.sendall(bytes(1000))  # and goes on
        assert gateway.predict(picture()).status == 200
        assert figure(gateway, "requests_in_flight") == 0


def test_slow_uploads_make_room_for_others(make_gateway: MakeGateway, model: FakeModel) -> None:
    gateway = make_gateway(GATEWAY_TIMEOUT_SECONDS="60").start_ready(routing(model))
    settings = Settings()
    with connections(gateway, 3) as slow:
        # Together not quite the half of all memory for bodies that uploads may have.
        part = settings.max_buffered_bytes // 6 - 1_000_000
        for each in slow:
            each.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (part + 1))
            each.sendall(bytes(part))
        eventually(lambda: figure(gateway, "held_bytes") == 3 * part, "all of it has arrived")
        time.sleep(1)  # an upload is called slow after a second
        large = picture() + bytes(10_000_000)  # what follows the picture is not looked at
        assert gateway.predict(large).status == 200
        assert slow[0].recv(4096).startswith(b"HTTP/1.1 408 ")
        for each in slow[1:]:
            each.sendall(b"x")
            assert each.recv(4096).startswith(b"HTTP/1.1 4")
    eventually(lambda: figure(gateway, "held_bytes") == 0, "all of it is free again")


def test_a_deadline_counts_from_the_first_byte(make_gateway: MakeGateway, model: FakeModel) -> None:
    gateway = make_gateway(GATEWAY_TIMEOUT_SECONDS="8").start_ready(routing(model))
    model.delay_seconds = 7
    body = picture()
    with connections(gateway, 1) as [slow]:
        slow.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body))
        time.sleep(3)
        slow.sendall(body)
        assert slow.recv(12) == b"HTTP/1.1 504"


SMUGGLING = {
    "length and chunks": b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "the same length twice": b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "a list of lengths": b"Content-Length: 3, 3\r\n\r\nabc",
    "a length with a sign": b"Content-Length: +3\r\n\r\nabc",
    "a folded header": b"A: b\r\n c\r\nContent-Length: 0\r\n\r\n",
    "a folded length": b"Content-Length:\r\n 3\r\n\r\nabc",
    "a space before the colon": b"Content-Length : 3\r\n\r\nabc",
    "an unknown encoding": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "two encodings": b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "the encoding twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two hosts": b"Host: y\r\nContent-Length: 0\r\n\r\n",
    "a bare carriage return": b"A: b\rContent-Length: 3\r\n\r\nabc",
    "a chunk size with a prefix": b"Transfer-Encoding: chunked\r\n\r\n0x2\r\nab\r\n0\r\n\r\n",
    "a chunk that is too long": b"Transfer-Encoding: chunked\r\n\r\n2\r\nabXX0\r\n\r\n",
    "a bare line feed in a chunk": b"Transfer-Encoding: chunked\r\n\r\n2;\nxx\r\nab\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("headers", SMUGGLING.values(), ids=SMUGGLING)
def test_what_could_smuggle_a_request_past_a_proxy_is_refused_and_the_connection_ends(
    shared_gateway: GatewayProcess, headers: bytes
) -> None:
    received = exchange(
        shared_gateway.port,
        b"POST /predict HTTP/1.1\r\nHost: x\r\n" + headers + b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n",
    )
    assert received.startswith(b"HTTP/1.1 400 ")
    assert len(re.findall(rb"HTTP/1.1 \d", received)) == 1
    assert b'"bad-request"' in received or b"#bad-request" in received
    assert b"\r\nConnection: close\r\n" in received


def test_requests_that_are_sent_ahead_are_answered_in_their_order(shared_gateway: GatewayProcess) -> None:
    body = picture("red")
    post = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    last = b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    received = exchange(
        shared_gateway.port, post + b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n" + post + last, end=False
    )
    assert re.findall(rb"HTTP/1.1 (\d+)", received) == [b"200", b"200", b"200", b"404"]
    assert received.count(b'"label": "pizza"') == 2


def test_a_request_behind_a_chunked_one_is_answered_or_its_connection_ends(
    shared_gateway: GatewayProcess,
) -> None:
    chunked = b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
    received = exchange(shared_gateway.port, chunked * 3, end=False)
    assert received.count(b"HTTP/1.1 415 ") in (1, 3)
    assert received.count(b"Connection: close\r\n") == 1


def test_a_head_response_has_no_body(shared_gateway: GatewayProcess) -> None:
    received = exchange(shared_gateway.port, b"HEAD /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n")
    head, _, body = received.partition(b"\r\n\r\n")
    assert body == b""
    assert re.search(rb"Content-Length: [1-9]", head)


def test_http_1_0_is_kept_alive_only_where_it_asks(shared_gateway: GatewayProcess) -> None:
    asked = b"HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    received = exchange(shared_gateway.port, asked + b"HEAD / HTTP/1.0\r\n\r\n", end=False)
    assert received.count(b"HTTP/1.0 200 OK") == 2


def test_an_offer_to_speak_http_2_is_answered_in_http_1_1(shared_gateway: GatewayProcess) -> None:
    """Java's HTTP client sends this upgrade offer with each request."""
    body = picture("red")
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    received = exchange(shared_gateway.port, head + b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
    assert received.startswith(b"HTTP/1.1 200 OK")


def test_a_url_of_another_form_leads_to_the_same(shared_gateway: GatewayProcess) -> None:
    received = exchange(shared_gateway.port, b"GET http://x/openapi.json?a=b HTTP/1.1\r\nHost: x\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 200 OK")
    assert exchange(shared_gateway.port, b"GET x HTTP/1.1\r\nHost: x\r\n\r\n").startswith(b"HTTP/1.1 400 ")


def test_a_body_of_tiny_chunks_costs_little(make_gateway: MakeGateway, model: FakeModel) -> None:
    gateway = make_gateway().start_ready(routing(model))
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    received = exchange(gateway.port, head + b"1\r\nA\r\n" * 200_000 + b"0\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 415 ")


def test_a_blocked_stdout_does_not_delay_requests(make_gateway: MakeGateway, model: FakeModel) -> None:
    gateway = make_gateway()
    read_end, write_end = os.pipe()
    fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, 4096)
    gateway.stdout = write_end
    gateway.start_ready(routing(model))
    os.close(write_end)
    try:
        for _ in range(5000):
            if figure(gateway, "dropped_log_lines_total"):
                break
            for _ in range(100):
                assert request(gateway.port, "GET", "/nowhere").status == 404
        assert figure(gateway, "dropped_log_lines_total") > 0
        assert gateway.internal("/livez") == 200
        log = b""
        while b"because stdout was blocked" not in log:
            log += os.read(read_end, 65536)
    finally:
        os.close(read_end)
