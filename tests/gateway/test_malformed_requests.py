"""The gateway process under malformed and too large requests: clear errors, and no text of them in a log."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable

import pytest

from fake_model import FakeModel
from gateway_process import GatewayProcess, request
from gateway_testbed import picture, routing

MakeGateway = Callable[..., GatewayProcess]


def test_a_refusal_before_the_end_of_the_body_has_connection_close(
    shared_gateway: GatewayProcess,
) -> None:
    with socket.create_connection(("127.0.0.1", shared_gateway.port), timeout=60) as connection:
        connection.sendall(b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc")
        answer = connection.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"\r\nConnection: close\r\n" in answer


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /" + b"a" * 10_000 + b" HTTP/1.1\r\n", 414),
        (b"GET / HTTP/1.1\r\nCookie: " + b"a" * 20_000 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"X-A: b\r\n" * 300, 431),
    ],
)
def test_a_request_head_that_is_too_large_gets_an_error_response(
    shared_gateway: GatewayProcess, head: bytes, status: int
) -> None:
    with socket.create_connection(("127.0.0.1", shared_gateway.port), timeout=60) as connection:
        connection.sendall(head + b"Host: x\r\n\r\n")
        answer = connection.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nX-Request-ID: " in answer


@pytest.mark.parametrize(
    "raw",
    [
        b"NONSENSE\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc",
        b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: x\r\nBad Header: 1\r\n\r\n",
        b"GET /" + b"a" * 10_000 + b" HTTP/1.1\r\n\r\n",
    ],
)
def test_requests_that_are_not_http_are_client_errors(shared_gateway: GatewayProcess, raw: bytes) -> None:
    with socket.create_connection(("127.0.0.1", shared_gateway.port), timeout=60) as connection:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    assert answer.startswith(b"HTTP/1.1 4")
    assert b"application/problem+json" in answer
    assert shared_gateway.predict(picture()).status == 200


@pytest.mark.parametrize(
    ("raw", "status", "cause"),
    [
        (b"GET /predict?token=SECRET HTTP/9.9\r\n\r\n", 400, "bad-request"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nBad Header: SECRET\r\n\r\n", 400, "bad-request"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nCookie: SECRET\x00\r\n\r\n", 400, "bad-request"),
        (b"\xff\xd8\xff\xe0SECRET\r\n\r\n", 400, "bad-request"),
        (b"GET /?token=SECRET" + b"a" * 10_000 + b" HTTP/1.1\r\n\r\n", 414, "url-too-long"),
        (b"GET / HTTP/1.1\r\nCookie: SECRET" + b"a" * 20_000 + b"\r\n\r\n", 431, "headers-too-large"),
    ],
    ids=["version", "name of a header", "header", "picture", "long path", "long header"],
)
def test_requests_that_are_not_http_are_counted_and_logged_without_their_content(
    shared_gateway: GatewayProcess, raw: bytes, status: int, cause: str
) -> None:
    def counted() -> tuple[float, ...]:
        lines = dict(line.rsplit(" ", 1) for line in shared_gateway.metrics().splitlines())
        requests = f'imageclassifier_gateway_requests_total{{route="none",status="{status}"}}'
        errors = f'imageclassifier_gateway_errors_total{{cause="{cause}"}}'
        return tuple(float(lines.get(name, 0)) for name in (requests, errors))

    before = counted()
    with socket.create_connection(("127.0.0.1", shared_gateway.port), timeout=60) as connection:
        connection.sendall(raw)
        answer = connection.makefile("rb").read().decode()
    assert counted() == tuple(each + 1 for each in before)
    [request_id] = re.findall("X-Request-ID: (.*)\r\n", answer)
    line = shared_gateway.access_line(request_id)
    assert (line["status"], line["problem"]) == (status, cause)
    assert "SECRET" not in shared_gateway.log.read_text()


def test_chunked_bodies_are_read(shared_gateway: GatewayProcess) -> None:
    data = picture("red")
    chunks = iter([data[:100], data[100:]])
    assert request(shared_gateway.port, "POST", "/predict", chunks).json["label"] == "pizza"


def test_a_body_that_is_too_large_is_refused_with_a_readable_answer(
    make_gateway: MakeGateway, model: FakeModel
) -> None:
    gateway = make_gateway(GATEWAY_MAX_IMAGE_BYTES="100000").start_ready(routing(model))
    assert gateway.predict(b"x" * 3_000_000).status == 413
    chunked = request(gateway.port, "POST", "/predict", iter([b" " * 1_000_000] * 3))
    assert chunked.status == 413
    assert "The body has more than" in chunked.json["detail"]
