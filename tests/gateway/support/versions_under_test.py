"""A gateway with a routing file, requests to it, and what it counts for each version."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask.testing import FlaskClient

from fake_model import FakeModel
from gateway_testbed import eventually, picture, write_atomically
from imageclassifier_gateway.api.app import create_app
from imageclassifier_gateway.gateway import Gateway
from imageclassifier_gateway.limits.deadline import Deadline
from imageclassifier_gateway.versions.classify_request import ClassifyRequest

MakeModel = Callable[..., FakeModel]


def start(gateway: Gateway, text: str, ready: int) -> FlaskClient:
    """A client of a gateway with this routing, after this many versions are ready."""
    write_atomically(gateway.settings.routing_file, text)
    client = create_app(gateway).test_client()
    gateway.start()
    eventually(
        lambda: sum(v["ready"] for v in gateway.rollout_document()["versions"].values()) == ready,
        "versions are ready",
    )
    return client


def send(client: FlaskClient, count: int, **headers: str) -> list[int]:
    """Sends this many requests, which must all succeed; returns the versions that answered."""
    answers = [client.post("/predict", data=picture(), headers=headers) for _ in range(count)]
    assert {answer.status_code for answer in answers} == {200}
    return [answer.get_json()["model"]["version"] for answer in answers]


def figures(gateway: Gateway, version: int) -> Any:
    return gateway.rollout_document()["versions"][str(version)]


def counts(gateway: Gateway, version: int) -> tuple[int, int]:
    """The requests and the errors of a version."""
    document = figures(gateway, version)
    return document["requests"], document["errors"]


def classify(gateway: Gateway, deadline: Deadline) -> int:
    """The version that answers a request with this much time left."""
    request = ClassifyRequest([picture()], deadline, hold=lambda _: None, admit_costly=lambda: None)
    return gateway.predictor.classify(gateway.predictor.fleet(), request).version
