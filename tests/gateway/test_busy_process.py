"""The gateway as a process whose places are all taken, and how its threads share Python's lock."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fake_model import FakeModel
from gateway_process import GatewayProcess
from gateway_testbed import picture, routing

#: `python -m imageclassifier_gateway`, but other requests have all places, half of them with URLs.
BUSY = """
import json, sys
from imageclassifier_gateway import __main__, gateway
from imageclassifier_gateway.limits.slow import Slow

build, others = gateway.build_gateway, []

def build_busy(*arguments):
    print(json.dumps({"switch_seconds": sys.getswitchinterval()}), flush=True)
    made, places = build(*arguments), arguments[0].max_requests_in_flight
    others.extend(made.admission.enter() for _ in range(places))
    for ticket in others[: Slow.URLS.most_of(places)]:
        ticket.become_slow(Slow.URLS)
    return made

gateway.build_gateway = build_busy
__main__.main()
"""


@pytest.fixture(scope="module")
def busy_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    model = FakeModel().start()
    gateway = GatewayProcess(tmp_path_factory.mktemp("gateway"))
    gateway.program = ["-c", BUSY]
    try:
        yield gateway.start_ready(routing(model))
    finally:
        gateway.stop()
        model.stop()


def test_a_request_with_urls_that_has_no_place_is_refused_without_a_request_thread(
    busy_gateway: GatewayProcess,
) -> None:
    # A request takes a place before it gets a thread, and there is none left.
    with_url = busy_gateway.predict(b'{"url": "https://site.example/"}')
    assert (with_url.status, with_url.json["type"]) == (503, "tag:imageclassifier.dev,2026:overloaded")
    assert "Too many requests with URLs" in with_url.json["detail"]
    assert with_url.headers["retry-after"]
    assert "64 requests" in busy_gateway.predict(picture()).json["detail"]


def test_the_event_loop_logs_and_counts_an_early_refusal(busy_gateway: GatewayProcess) -> None:
    answer = busy_gateway.predict(b'{"url": "https://site.example/"}', **{"X-Request-ID": "refused-early"})
    line = busy_gateway.access_line("refused-early")
    assert "with URLs" in answer.json["detail"]
    assert (answer.status, line["status"], line["problem"]) == (503, 503, "overloaded")
    assert line["route"] == "none"  # Flask, which knows the routes, has not seen it
    assert 'requests_total{route="none",status="503"}' in busy_gateway.metrics()


def test_an_early_refusal_waits_so_that_a_client_that_retries_at_once_does_not_take_a_core(
    busy_gateway: GatewayProcess,
) -> None:
    busy_gateway.predict(b'{"url": "https://site.example/"}', **{"X-Request-ID": "refused-late"})
    assert busy_gateway.access_line("refused-late")["duration_ms"] >= 200


def test_threads_pass_pythons_lock_on_after_a_millisecond(busy_gateway: GatewayProcess) -> None:
    assert busy_gateway.log_lines()[0] == {"switch_seconds": 0.001}
