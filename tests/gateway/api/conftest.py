"""Fixtures: the gateway's Flask application with a fake model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from fake_model import FakeModel
from gateway_testbed import eventually, routing, write_atomically
from imageclassifier_gateway.api.app import create_app
from imageclassifier_gateway.config import Settings
from imageclassifier_gateway.gateway import Gateway, build_gateway


@pytest.fixture
def timeout_seconds() -> float:
    """The deadline of requests. A test about it has a shorter one as its parameter."""
    return 60


@pytest.fixture
def settings(tmp_path: Path, timeout_seconds: float) -> Settings:
    return Settings(routing_file=tmp_path / "routing.json", timeout_seconds=timeout_seconds)


@pytest.fixture
def gateway(settings: Settings) -> Iterator[Gateway]:
    gateway = build_gateway(settings)
    yield gateway
    gateway.stop()


@pytest.fixture
def client(gateway: Gateway, model: FakeModel) -> FlaskClient:
    write_atomically(gateway.settings.routing_file, routing(model))
    app = create_app(gateway)
    gateway.start()
    eventually(lambda: gateway.unready_reason() is None, "the gateway is ready")
    return app.test_client()
