"""A gateway that needs API keys: what is refused, how early, and how it is reported."""

from __future__ import annotations

import json
import select
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fake_model import FakeModel
from gateway_process import Answer, GatewayProcess, request
from gateway_testbed import eventually, picture, routing, write_atomically
from key_secret import KeySecret, entry

MakeGateway = Callable[..., GatewayProcess]
KEY = {"X-API-Key": "key-of-app"}


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> KeySecret:
    return KeySecret(
        tmp_path_factory.mktemp("secret") / "keys", app=entry("key-of-app"), slow=entry("slow", "rate=0.001")
    )


@pytest.fixture(scope="module")
def gateway(secret: KeySecret, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    model = FakeModel().start()
    process = GatewayProcess(
        tmp_path_factory.mktemp("gateway"),
        GATEWAY_API_KEYS_DIRECTORY=str(secret.folder),
        GATEWAY_CORS_ALLOWED_ORIGINS="https://app.example.org",
    )
    yield process.start_ready(routing(model))
    process.stop()
    model.stop()


def cause(answer: Answer) -> str:
    assert answer.headers["content-type"] == "application/problem+json"
    return str(answer.json["type"]).rpartition(":")[2]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/predict"),
        ("POST", "/v1/models/pizza-model:predict"),
        ("GET", "/v1/models/pizza-model"),
        ("POST", "/v2/models/pizza-model/infer"),
        ("GET", "/v2"),
        ("GET", "/nowhere"),
    ],
)
def test_every_api_refuses_a_request_without_a_key(gateway: GatewayProcess, method: str, path: str) -> None:
    answer = request(gateway.port, method, path, picture() if method == "POST" else None)
    assert (answer.status, cause(answer)) == (401, "key-missing")
    assert answer.headers["www-authenticate"] == 'Bearer realm="imageclassifier"'
    assert ("error" in answer.json) == path.startswith(("/v1/", "/v2/"))
    wrong = request(gateway.port, method, path, headers={"Authorization": "Bearer guess"})
    assert (wrong.status, cause(wrong)) == (403, "key-refused")


@pytest.mark.parametrize("path", ["/", "/page.js", "/problems", "/openapi.json", "/v2/health/ready"])
def test_the_page_the_descriptions_and_health_need_no_key(gateway: GatewayProcess, path: str) -> None:
    assert request(gateway.port, "GET", path).status == 200


def test_a_valid_key_gets_a_prediction_and_is_logged_by_its_name(gateway: GatewayProcess) -> None:
    answer = gateway.predict(picture(), **KEY)
    assert answer.status == 200
    line = gateway.access_line(answer.headers["x-request-id"])
    assert line["key"] == "app"
    assert "key-of-app" not in gateway.log.read_text()
    bearer = gateway.predict(picture(), Authorization="Bearer key-of-app")
    assert bearer.status == 200


def test_a_refused_body_is_not_even_sent(gateway: GatewayProcess) -> None:
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\nExpect: 100-continue\r\n\r\n"
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as connection:
        connection.sendall(head)
        assert connection.recv(12) == b"HTTP/1.1 401"


def test_a_client_at_its_limit_keeps_its_connection_and_learns_when_to_retry(gateway: GatewayProcess) -> None:
    body = b'{"url": "http://10.0.0.1/"}'
    sent = b"POST /predict HTTP/1.1\r\nHost: x\r\nX-API-Key: slow\r\nContent-Length: %d\r\n\r\n" % len(body)
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as connection:
        received = connection.makefile("rb")
        answers = []
        for _ in range(3):
            connection.sendall(sent + body)
            answers.append(read_answer(received))
    assert [status for status, _ in answers] == [422, 429, 429]
    headers = answers[-1][1]
    assert 1 <= int(headers["retry-after"]) <= 1000
    assert headers["connection"] == "keep-alive"
    assert 'key_requests_total{key="slow",outcome="limited"} 2.0' in gateway.metrics()


def test_pipelined_requests_are_refused_one_by_one(gateway: GatewayProcess) -> None:
    count = 5
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as connection:
        connection.sendall(b"GET /v2 HTTP/1.1\r\nHost: x\r\n\r\n" * count)
        received = connection.makefile("rb")
        assert [read_answer(received)[0] for _ in range(count)] == [401] * count


@pytest.mark.parametrize(
    "refused",
    [
        b"GET /v2 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v2 HTTP/1.1\r\nHost: x\r\nX-API-Key: guess\r\n\r\n",
        b"GET /v2 HTTP/1.1\r\nHost: x\r\nX-API-Key: slow\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nno chunk",
    ],
    ids=["no key", "wrong key", "limit", "invalid body"],
)
def test_a_client_that_is_refused_waits_while_others_are_answered(
    gateway: GatewayProcess, refused: bytes
) -> None:
    def is_overtaken() -> bool:
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as connection:
            connection.sendall(refused)
            assert request(gateway.port, "GET", "/v2", headers=KEY).status == 200
            readable, _, _ = select.select([connection], [], [], 0)
            assert read_answer(connection.makefile("rb"))[0] in (200, 401, 403, 429)
        return not readable

    eventually(is_overtaken, "a later request is answered first")


def test_a_client_that_leaves_before_its_refusal_leaves_nothing(gateway: GatewayProcess) -> None:
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as connection:
            connection.sendall(b"GET /v2 HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
    assert request(gateway.port, "GET", "/v2", headers=KEY).status == 200
    assert "Traceback" not in gateway.log.read_text()


def test_a_preflight_request_is_answered_so_that_a_page_may_send_its_key(gateway: GatewayProcess) -> None:
    asked = {
        "Origin": "https://app.example.org",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-api-key",
    }
    answer = request(gateway.port, "OPTIONS", "/predict", headers=asked)
    assert (answer.status, answer.headers["access-control-allow-headers"]) == (204, "x-api-key")
    refused = request(gateway.port, "POST", "/predict", b"", {"Origin": "https://app.example.org"})
    assert refused.headers["access-control-allow-origin"] == "https://app.example.org"


def test_the_openapi_document_describes_keys_only_if_they_are_needed(
    gateway: GatewayProcess, shared_gateway: GatewayProcess
) -> None:
    document = request(gateway.port, "GET", "/openapi.json").json
    assert document["security"] == [{"ApiKey": []}, {"Bearer": []}]
    assert document["paths"]["/problems"]["get"]["security"] == []
    responses = document["paths"]["/predict"]["post"]["responses"]
    assert {"401", "403", "429"} <= responses.keys()
    assert "key-refused" in responses["403"]["description"]
    assert "cross-site-url" in responses["403"]["description"]
    assert "Retry-After" in responses["429"]["headers"]
    assert "security" not in request(shared_gateway.port, "GET", "/openapi.json").json
    assert shared_gateway.rollout()["access"]["needs_key"] is False


def test_the_secret_takes_effect_while_the_gateway_runs(
    make_gateway: MakeGateway, model: FakeModel, tmp_path: Path
) -> None:
    secret = KeySecret(tmp_path / "keys", app="key-of-app")
    gateway = make_gateway(GATEWAY_API_KEYS_DIRECTORY=str(secret.folder))
    write_atomically(gateway.routing_file, routing(model))
    gateway.start()
    reason = request(gateway.internal_port, "GET", "/readyz")
    assert reason.status == 503
    assert reason.body.startswith(b"The entry 'app' has a word that is not sha256=, rate= or burst=.")
    access = gateway.rollout()["access"]
    assert (access["needs_key"], access["error"]) == (True, reason.body.decode().strip())
    assert gateway.predict(picture(), **KEY).status == 403
    secret.write(app=entry("key-of-app"))
    eventually(lambda: gateway.internal("/readyz") == 200, "the gateway is ready with a valid key")
    assert gateway.predict(picture(), **KEY).status == 200
    secret.write(other=entry("other"))
    eventually(lambda: gateway.predict(picture(), **KEY).status == 403, "the key is revoked", 5)
    secret.write()
    eventually(lambda: gateway.rollout()["access"]["error"], "the missing keys are reported")
    assert gateway.internal("/readyz") == 200, "otherwise clients would get no response that explains it"
    assert gateway.predict(picture(), **{"X-API-Key": "other"}).status == 403


def read_answer(received) -> tuple[int, dict[str, str]]:  # type: ignore[no-untyped-def]
    """The status and the headers of the next response on a connection."""
    status = int(received.readline().split()[1])
    headers = dict(line.decode().strip().lower().split(": ", 1) for line in iter(received.readline, b"\r\n"))
    json.loads(received.read(int(headers["content-length"])))
    return status, headers
