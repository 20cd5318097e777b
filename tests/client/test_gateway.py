"""Requests to the gateway through the API server, whose place a server on a Unix socket takes."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import Any

import pytest

from imageclassifier_client.cluster.api import Api
from imageclassifier_client.cluster.classifiers import Classifiers
from imageclassifier_client.cluster.gateway import Gateway
from imageclassifier_client.errors import ClientError

PREDICTION = {"prediction": "It's a pizza!", "label": "pizza", "model": {"version": 2}}


class Handler(BaseHTTPRequestHandler):
    """Answers for the API server: the Service, and what the gateway behind it would answer."""

    port = "http"
    requests: list[tuple[str, str, bytes]]

    def do_GET(self) -> None:
        self.answer(200, {"spec": {"ports": [{"name": self.port}]}})

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        if length > 1_000_000:  # refused before the body is read
            status = {"kind": "Status", "reason": "ServiceUnavailable", "message": "no endpoints available"}
            self.answer(503, status)
            return
        body = self.rfile.read(length)
        self.requests.append((self.path, self.headers["X-API-Key"] or "", body))
        if body == b"no picture":
            self.answer(415, {"title": "Unsupported", "detail": "The file is not an image."})
        else:
            self.answer(200, PREDICTION)

    def answer(self, status: int, document: dict[str, Any]) -> None:
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def address_string(self) -> str:
        return "socket"

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    monkeypatch.setattr(Handler, "requests", [], raising=False)
    path = tmp_path / "api"
    with ThreadingUnixStreamServer(str(path), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield Gateway(Classifiers(Api(path, "https://example.org"), "food"), "pizza", "secret")
        server.shutdown()


def test_a_picture_arrives_unchanged_with_the_api_key(gateway: Gateway) -> None:
    picture = bytes(range(256)) * 100
    assert gateway.predict(picture).document == PREDICTION
    path = "/api/v1/namespaces/food/services/pizza-gateway:http/proxy/predict"
    assert Handler.requests == [(path, "secret", picture)]


def test_a_url_is_sent_as_json(gateway: Gateway) -> None:
    gateway.predict_url("https://example.org/a.jpg")
    assert json.loads(Handler.requests[0][2]) == {"url": "https://example.org/a.jpg"}


def test_a_gateway_with_https_is_asked_over_https(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Handler, "port", "https")
    gateway.predict(b"picture")
    assert "/services/https:pizza-gateway:https/proxy/predict" in Handler.requests[0][0]


def test_a_problem_of_one_picture_is_its_error(gateway: Gateway) -> None:
    assert gateway.predict(b"no picture").error == "Unsupported: The file is not an image."


def test_a_refusal_before_the_body_is_read_is_reported(gateway: Gateway) -> None:
    with pytest.raises(ClientError, match="The gateway of pizza does not answer: no endpoints available"):
        gateway.predict(b"x" * 20_000_000)
