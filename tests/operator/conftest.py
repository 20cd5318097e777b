"""Fixtures for the tests of the operator on a real API server."""

from collections.abc import Iterator
from typing import Any

import pytest

from operator_process import PlayedGateways, RunningOperator, install_crd


@pytest.fixture(scope="module")
def gateways(apiserver: Any) -> Iterator[PlayedGateways]:
    """The operator runs in all namespaces with these simulated gateways."""
    apiserver.ensure_nodes(1)
    install_crd(apiserver)
    played = PlayedGateways(apiserver)
    with RunningOperator(apiserver.kubeconfig, played):
        yield played
