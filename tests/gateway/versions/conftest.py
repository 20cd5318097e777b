"""Fixtures for the tests of versions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from imageclassifier_gateway.config import Settings
from imageclassifier_gateway.gateway import Gateway, build_gateway


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    gateway = build_gateway(Settings(routing_file=tmp_path / "routing.json", timeout_seconds=6))
    yield gateway
    gateway.stop()
