"""How many pods a target leads to."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from imageclassifier_gateway.versions.model_server_addresses import count_pods


@pytest.mark.parametrize(
    "target", ["127.0.0.1:8500", "dns:///127.0.0.1:8500", "[::1]:8500", "no.such.invalid:1"]
)
def test_an_address_or_an_unknown_name_is_one_pod(target: str) -> None:
    assert count_pods(target) == 1


def test_each_address_of_a_headless_service_is_a_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def getaddrinfo(host: str, port: str, **options: Any) -> list[Any]:
        asked.append((host, port))
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"10.0.0.{end}", 8500)) for end in (1, 2, 2, 3)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    assert count_pods("dns:///pizza-serving-v1.ns.svc:8500") == 3
    assert asked == [("pizza-serving-v1.ns.svc", "8500")]
