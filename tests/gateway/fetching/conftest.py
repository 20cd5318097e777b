"""Fixtures: a hostile server on the loopback interface, and the names and connections around it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fetching_world import World
from gateway_testbed import picture
from hostile_server import HostileServer


@pytest.fixture(scope="module")
def hostile() -> Iterator[HostileServer]:
    server = HostileServer(picture("red"))
    yield server
    server.stop()


@pytest.fixture
def world(hostile: HostileServer) -> World:
    hostile.requests.clear()
    return World(hostile)
