"""The connection to the model servers, as the operating system sees it."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from fake_model import FakeModel
from imageclassifier_gateway.versions.model_server_client import ModelServer


def connections_to(port: int) -> Iterator[socket.socket]:
    """This process's own ends of its connections to a port of this machine."""
    for entry in Path("/proc/self/fd").iterdir():
        number = int(entry.name)
        try:
            if not stat.S_ISSOCK(os.fstat(number).st_mode):
                continue
            with socket.socket(fileno=os.dup(number)) as each:
                if each.family in (socket.AF_INET, socket.AF_INET6) and each.getpeername()[1] == port:
                    yield each
        except OSError:  # closed meanwhile, or not connected
            continue


def test_a_silently_lost_node_is_detected_within_seconds(model: FakeModel) -> None:
    server = ModelServer(model.target, "pizza-model", 1)
    try:
        server.status(timeout_seconds=20)
        [milliseconds] = (
            each.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
            for each in connections_to(model.port)
        )
    finally:
        server.close()
    assert milliseconds == 3000
