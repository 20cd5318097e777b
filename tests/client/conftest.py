"""Fixtures for the tests of the client on a real API server."""

from collections.abc import Iterator
from typing import Any

import pytest

from client_program import Client
from operator_process import CLASSIFIERS, Bench, PlayedGateways, RunningOperator, install_crd


@pytest.fixture(scope="module")
def gateways(apiserver: Any) -> Iterator[PlayedGateways]:
    """The operator runs in all namespaces with these simulated gateways."""
    apiserver.ensure_nodes(1)
    install_crd(apiserver)
    played = PlayedGateways(apiserver)
    with RunningOperator(apiserver.kubeconfig, played):
        yield played


@pytest.fixture
def bench(apiserver: Any, namespace: str, gateways: PlayedGateways) -> Iterator[Bench]:
    yield Bench(apiserver, namespace, gateways)
    apiserver.request("DELETE", CLASSIFIERS.format(namespace))


@pytest.fixture
def client(apiserver: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Client:
    """The client as the administrator."""
    install_crd(apiserver)
    return Client(apiserver.directory / "kubectl", apiserver.kubeconfig, monkeypatch, capsys)
