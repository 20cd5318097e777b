"""The gateway as a process: start, routing changes, overload, drain, and its log."""

from __future__ import annotations

import http.client
import io
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fake_model import FakeModel
from fuzzing import children
from gateway_process import Answer, GatewayProcess
from gateway_testbed import eventually, picture, routing, write_atomically
from imageclassifier_gateway import __main__
from imageclassifier_gateway.config import Settings

MakeModel = Callable[..., FakeModel]
MakeGateway = Callable[..., GatewayProcess]


class SteadyRequests:
    """Sends predictions all the time from some threads, kept-alive, and keeps every answer."""

    def __init__(self, gateway: GatewayProcess, threads: int = 4) -> None:
        self._gateway = gateway
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(threads)
        self._threads = threads
        self.answers: list[Answer] = []
        self.broken: list[Exception] = []

    def __enter__(self) -> SteadyRequests:
        self._running = [self._pool.submit(self._send) for _ in range(self._threads)]
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._pool.shutdown()
        for each in self._running:
            each.result()

    def wait_for(self, more: int) -> None:
        """Waits for this many more responses."""
        goal = len(self.answers) + more
        eventually(lambda: len(self.answers) >= goal, f"{more} more answers", 60)

    def versions(self) -> list[int]:
        return [answer.json["model"]["version"] for answer in self.answers]

    def _send(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._gateway.port, timeout=60)
        body = picture("red")
        while not self._stop.is_set():
            try:
                connection.request("POST", "/predict", body)
                response = connection.getresponse()
                self.answers.append(Answer(response.status, dict(response.getheaders()), response.read()))
            except (OSError, http.client.HTTPException) as error:
                self.broken.append(error)
                connection.close()


def test_it_is_not_ready_before_the_routing_file_and_becomes_ready_with_it(
    make_gateway: MakeGateway, model: FakeModel
) -> None:
    gateway = make_gateway().start()
    assert gateway.internal("/readyz") == 503
    assert gateway.rollout()["routing_error"] == f"There is no routing file at {gateway.routing_file}."
    assert gateway.predict(picture()).status == 503
    write_atomically(gateway.routing_file, routing(model))
    eventually(lambda: gateway.internal("/readyz") == 200, "the gateway is ready")
    assert gateway.predict(picture()).json["label"] == "pizza"
    assert gateway.rollout()["routing_error"] is None


def test_it_is_not_ready_before_the_model_and_stays_ready_when_the_model_is_lost(
    make_gateway: MakeGateway, make_model: MakeModel
) -> None:
    model = make_model()
    model.stop()
    gateway = make_gateway()
    write_atomically(gateway.routing_file, routing(model))
    gateway.start()
    assert gateway.internal("/readyz") == 503
    model.start()
    eventually(lambda: gateway.internal("/readyz") == 200, "the gateway is ready")
    model.stop()
    eventually(lambda: not gateway.rollout()["versions"]["1"]["ready"], "the loss is reported")
    answer = gateway.predict(picture())
    assert (answer.status, gateway.internal("/readyz")) == (503, 200)
    assert answer.headers["retry-after"]
    model.start()
    eventually(lambda: gateway.predict(picture()).status == 200, "the gateway finds the model again")


def test_versions_change_under_steady_requests_without_losing_one(
    make_gateway: MakeGateway, make_model: MakeModel
) -> None:
    one, two = make_model(version=1), make_model(version=2)
    gateway = make_gateway().start_ready(routing(one, two, percents=(100, 0)))
    with SteadyRequests(gateway) as requests:
        for revision, (serving, other) in enumerate([(two, one), (one, two)] * 3, start=2):
            requests.wait_for(20)
            write_atomically(
                gateway.routing_file, routing(serving, other, percents=(100, 0), revision=revision)
            )
            eventually(lambda r=revision: gateway.rollout()["revision"] == r, "the revision is in use")  # type: ignore[misc]
            start = len(requests.answers)
            requests.wait_for(20)
            # Up to one request per thread was on its way when the revision came into use, and may take its
            # time.
            before = [each for each in requests.versions()[start : start + 20] if each != serving.version]
            assert len(before) <= 4
    assert requests.broken == []
    assert {answer.status for answer in requests.answers} == {200}


def test_a_version_that_was_not_listed_before_may_serve_at_once(
    make_gateway: MakeGateway, make_model: MakeModel
) -> None:
    one, two = make_model(version=1), make_model(version=2)
    gateway = make_gateway().start_ready(routing(one))
    with SteadyRequests(gateway) as requests:
        write_atomically(gateway.routing_file, routing(two, revision=2))
        eventually(lambda: gateway.rollout()["revision"] == 2, "the revision is in use")
        requests.wait_for(20)
    assert requests.broken == []
    assert {answer.status for answer in requests.answers} == {200}
    assert requests.versions()[-1] == 2


def test_a_kubelets_symlink_swap_is_seen(
    make_gateway: MakeGateway, make_model: MakeModel, tmp_path: Path
) -> None:
    one, two = make_model(version=1), make_model(version=2)
    volume = tmp_path / "volume"
    for name, text in (("..1", routing(one)), ("..2", routing(two, revision=2))):
        (volume / name).mkdir(parents=True)
        (volume / name / "routing.json").write_text(text)
    (volume / "..data").symlink_to("..1")
    (volume / "routing.json").symlink_to("..data/routing.json")
    gateway = make_gateway(GATEWAY_ROUTING_FILE=str(volume / "routing.json")).start()
    eventually(lambda: gateway.internal("/readyz") == 200, "the gateway is ready")
    (volume / "..data_tmp").symlink_to("..2")
    (volume / "..data_tmp").replace(volume / "..data")
    eventually(lambda: gateway.rollout()["revision"] == 2, "the new file is in use")
    assert gateway.predict(picture()).json["model"]["version"] == 2


@pytest.mark.parametrize(
    "content", ["", "{", '{"schema": 9}', None], ids=["empty", "cut off", "newer", "deleted"]
)
def test_a_broken_routing_file_keeps_the_last_good_one_and_shows_it(
    make_gateway: MakeGateway, model: FakeModel, content: str | None
) -> None:
    gateway = make_gateway().start_ready(routing(model, revision=5))
    if content is None:
        gateway.routing_file.unlink()
    else:
        write_atomically(gateway.routing_file, content)
    document = eventually(lambda: (d := gateway.rollout())["routing_error"] and d, "the error is shown")
    assert document["revision"] == 5
    assert "imageclassifier_gateway_routing_broken 1.0" in gateway.metrics()
    assert gateway.predict(picture()).status == 200
    write_atomically(gateway.routing_file, routing(model, revision=6))
    eventually(lambda: gateway.rollout()["revision"] == 6, "a good file is used again")
    assert gateway.rollout()["routing_error"] is None
    assert "imageclassifier_gateway_routing_broken 0.0" in gateway.metrics()


def test_sigterm_fails_readiness_first_then_drains_then_stops_without_losing_a_request(
    make_gateway: MakeGateway, model: FakeModel
) -> None:
    model.delay_seconds = 0.05
    gateway = make_gateway(GATEWAY_DRAIN_SECONDS="15").start_ready(routing(model))
    with SteadyRequests(gateway) as requests:
        requests.wait_for(10)
        gateway.terminate()
        eventually(lambda: gateway.internal("/readyz") == 503, "readiness fails")
        during_drain = len(requests.answers)
        assert gateway.internal("/livez") == 200
        requests.wait_for(10)
        # By now the endpoints have dropped the pod: no new requests, only those on their way.
    assert requests.broken == []
    assert {answer.status for answer in requests.answers} == {200}
    closing = [answer.headers.get("Connection") for answer in requests.answers[during_drain + 8 :]]
    assert set(closing) == {"close"}
    assert gateway.wait() == 0


def test_a_request_in_flight_at_the_very_end_is_still_answered(
    make_gateway: MakeGateway, model: FakeModel
) -> None:
    gateway = make_gateway(GATEWAY_DRAIN_SECONDS="0").start_ready(routing(model))
    model.delay_seconds = 2
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(gateway.predict, picture())
        eventually(lambda: model.requests, "the model has the request")
        gateway.terminate()
        assert answer.result().status == 200
    assert gateway.wait() == 0


def test_overload_is_refused_quickly_and_the_internal_port_stays_responsive(
    make_gateway: MakeGateway, model: FakeModel
) -> None:
    gateway = make_gateway().start_ready(routing(model))
    released, answer = threading.Event(), model.answer

    def answer_later(pixels: np.ndarray) -> np.ndarray:
        released.wait(60)  # so the places stay taken, however slowly the requests arrive
        return answer(pixels)

    model.answer = answer_later
    with ThreadPoolExecutor(150) as pool:
        running = [pool.submit(gateway.predict, picture()) for _ in range(150)]
        eventually(lambda: "requests_in_flight 64.0" in gateway.metrics(), "all places are taken")
        assert gateway.internal("/livez") == 200
        assert gateway.internal("/readyz") == 200
        assert gateway.rollout()["revision"] == 1
        eventually(lambda: any(each.done() for each in running), "a refusal while all places are taken")
        released.set()
        answers = [each.result() for each in running]
    refused = [answer for answer in answers if answer.status == 503]
    assert refused
    assert {answer.status for answer in answers} <= {200, 503, 504}
    assert {answer.json["type"] for answer in refused} == {"tag:imageclassifier.dev,2026:overloaded"}
    assert all(answer.headers["retry-after"] for answer in refused)
    assert gateway.predict(picture()).status == 200
    assert "requests_in_flight 0.0" in gateway.metrics()


def test_every_log_line_is_json_with_the_request_id(make_gateway: MakeGateway, model: FakeModel) -> None:
    gateway = make_gateway().start_ready(routing(model))
    gateway.predict(picture(), **{"X-Request-ID": "find-me"})
    line = gateway.access_line("find-me")
    assert (line["status"], line["version"]) == (200, 1)


def test_warnings_whose_text_a_client_chooses_reach_no_log(
    make_gateway: MakeGateway, model: FakeModel
) -> None:
    gateway = make_gateway().start_ready(routing(model))
    damaged = io.BytesIO()
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0"
    Image.new("RGB", (64, 48), "red").save(damaged, "JPEG", exif=exif)
    assert gateway.predict(damaged.getvalue(), **{"X-Request-ID": "damaged"}).status == 200
    gateway.access_line("damaged")
    assert not [line for line in gateway.log_lines() if line["logger"] == "py.warnings"]


@pytest.mark.parametrize(
    ("given", "used"), [({}, "timeout:1 attempts:2"), ({"RES_OPTIONS": "ndots:1"}, "ndots:1")]
)
def test_the_resolver_has_a_short_timeout_unless_configured_otherwise(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], used: str
) -> None:
    environment = dict(given)
    seen = []

    def run(settings: Settings) -> None:
        seen.append(environment["RES_OPTIONS"])

    monkeypatch.setattr(os, "environ", environment)
    monkeypatch.setattr(__main__, "run", run)
    monkeypatch.setattr(sys, "argv", ["imageclassifier-gateway"])
    __main__.main()
    assert seen == [used]


def test_a_setting_that_cannot_be_used_ends_the_start_with_its_name() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "imageclassifier_gateway"],
        env={**os.environ, "GATEWAY_TIMEOUT_SECONDS": "soon"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert "GATEWAY_TIMEOUT_SECONDS" in result.stderr


def test_when_a_process_of_the_gateway_dies_the_container_ends(
    make_gateway: MakeGateway, model: FakeModel
) -> None:
    """Kubernetes then shows and counts it. A parent that starts another one would hide it."""
    gateway = make_gateway().start_ready(routing(model))
    [victim] = children(gateway.pid) or [gateway.pid]
    os.kill(victim, signal.SIGKILL)
    assert gateway.wait() != 0


def test_a_port_that_is_taken_ends_the_start_with_its_number(tmp_path: Path) -> None:
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        result = subprocess.run(
            [sys.executable, "-m", "imageclassifier_gateway"],
            env={**os.environ, "GATEWAY_PORT": str(port), "GATEWAY_ROUTING_FILE": str(tmp_path / "none")},
            capture_output=True,
            text=True,
            check=False,
        )
    assert result.returncode == 1
    assert f"Port {port} cannot be opened" in result.stderr
