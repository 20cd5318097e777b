"""What tests of the gateway's API read from responses and metrics, and a client for another model."""

from __future__ import annotations

from typing import Any

from flask.testing import FlaskClient

from fake_model import CONTRACT, FakeModel
from gateway_testbed import eventually, routing, write_atomically
from imageclassifier_gateway.api.app import create_app
from imageclassifier_gateway.gateway import Gateway


def problem(answer: Any, status: int, cause: str) -> str:
    """Checks that an answer is a problem document, and returns its detail."""
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/problem+json"
    document = answer.get_json(force=True)
    assert document["status"] == status
    assert document["type"] == f"tag:imageclassifier.dev,2026:{cause}"
    assert document["request_id"] == answer.headers["X-Request-ID"]
    return str(document["detail"])


def client_of(gateway: Gateway, model: FakeModel, **model_input: Any) -> FlaskClient:
    """A client of a gateway whose model has this input."""
    model.contract = {**CONTRACT, "input": model_input}
    write_atomically(gateway.settings.routing_file, routing(model))
    gateway.start()
    eventually(lambda: gateway.unready_reason() is None, "the gateway is ready")
    return create_app(gateway).test_client()


def metric(gateway: Gateway, name: str) -> float:
    """The value of a metric; 0 before its first increment."""
    lines = (line.rsplit(" ", 1) for line in gateway.stats.exposition().decode().splitlines())
    return float(dict(lines).get(f"imageclassifier_gateway_{name}", 0))
