"""A few seconds of mutated pictures and requests; `make bench` runs the same for minutes."""

from __future__ import annotations

from collections.abc import Callable

from fuzzing import run
from gateway_testbed import FakeModel, GatewayProcess, picture, routing

#: Resident memory that the run may add: less than one picture of the largest accepted size takes.
MAX_GROWTH_MEGABYTES = 150


def test_no_client_input_causes_a_server_error(
    make_gateway: Callable[..., GatewayProcess], model: FakeModel
) -> None:
    gateway = make_gateway().start_ready(routing(model))
    outcome = run(gateway.port, gateway.pid, requests=1200, seed=1)
    assert outcome.failures == []
    assert outcome.statuses[200] > 50, "most mutations should be of something that is read"
    assert outcome.statuses[422] > 50
    assert outcome.max_rss_megabytes < outcome.warm_rss_megabytes + MAX_GROWTH_MEGABYTES
    assert gateway.predict(picture()).status == 200
