"""Fixtures for the tests of the whole operator on a real API server."""

from collections.abc import Iterator
from typing import Any

import pytest

from imageclassifier_operator.observe.types import AccessReport
from operator_process import CLASSIFIERS, Bench, PlayedGateways


@pytest.fixture
def bench(apiserver: Any, namespace: str, gateways: PlayedGateways) -> Iterator[Bench]:
    gateways.deaf, gateways.unreachable = False, False
    gateways.counters, gateways.shadow, gateways.errors = {}, None, {}
    gateways.access = AccessReport()
    yield Bench(apiserver, namespace, gateways)
    apiserver.request("DELETE", CLASSIFIERS.format(namespace))


@pytest.fixture
def serving(bench: Bench) -> Bench:
    """Version 1 serves; an old version is removed as soon as it can have no requests."""
    bench.create(1, rollout={"keepPreviousSeconds": 0}, gateway={"timeoutSeconds": 1})
    bench.verify(1)
    bench.wait_ready(1)
    return bench
