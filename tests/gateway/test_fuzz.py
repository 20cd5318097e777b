"""A few seconds of mutated pictures and requests; `make bench` runs the same for minutes."""

from __future__ import annotations

from collections.abc import Callable

from fake_model import FakeModel
from fuzzing import resident_megabytes, run
from gateway_process import GatewayProcess
from gateway_testbed import picture, routing

#: The memory of the gateway's pod by default (512 MiB).
POD_MEGABYTES = 537
#: Resident memory that the gateway may gain by the same requests a second time. The requests that come first
#: fill the caches, and the allocator keeps the memory of the largest pictures that were decoded at once.
MAX_GROWTH_MEGABYTES = 60


def test_no_client_input_causes_a_server_error_or_leaks_memory(
    make_gateway: Callable[..., GatewayProcess], model: FakeModel
) -> None:
    gateway = make_gateway().start_ready(routing(model))
    resting_megabytes = []
    for _ in range(2):
        outcome = run(gateway.port, gateway.pid, requests=800, seed=1)
        assert outcome.failures == []
        assert outcome.statuses[200] > 50, "most mutations should be of something that is read"
        assert outcome.statuses[422] > 50
        assert outcome.max_rss_megabytes < POD_MEGABYTES
        assert gateway.predict(picture()).status == 200
        resting_megabytes.append(resident_megabytes(gateway.pid))
    assert resting_megabytes[1] < resting_megabytes[0] + MAX_GROWTH_MEGABYTES
