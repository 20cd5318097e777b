"""The gateway as a process: start, routing changes, overload, slow clients, drain."""

from __future__ import annotations

import http.client
import io
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from gateway_testbed import (
    Answer,
    FakeModel,
    GatewayProcess,
    eventually,
    picture,
    request,
    routing,
    write_atomically,
)
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
    model.delay_seconds = 2
    with ThreadPoolExecutor(150) as pool:
        running = [pool.submit(gateway.predict, picture()) for _ in range(150)]
        eventually(lambda: "requests_in_flight 64.0" in gateway.metrics(), "all places are taken")
        assert gateway.internal("/livez") == 200
        assert gateway.internal("/readyz") == 200
        assert gateway.rollout()["revision"] == 1
        answers = [each.result() for each in running]
    refused = [answer for answer in answers if answer.status == 503]
    assert refused
    assert {answer.status for answer in answers} <= {200, 503, 504}
    assert {answer.json["type"] for answer in refused} == {"tag:imageclassifier.dev,2026:overloaded"}
    assert all(answer.headers["retry-after"] for answer in refused)
    model.delay_seconds = 0
    assert gateway.predict(picture()).status == 200
    assert "requests_in_flight 0.0" in gateway.metrics()


def test_a_body_that_drips_in_is_refused_at_the_deadline_with_a_problem(
    make_gateway: MakeGateway, model: FakeModel
) -> None:
    gateway = make_gateway(GATEWAY_TIMEOUT_SECONDS="1").start_ready(routing(model))
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
        answer = b""
        connection.settimeout(0.1)
        began = time.monotonic()
        while b"\r\n\r\n" not in answer and time.monotonic() - began < 15:
            try:
                connection.sendall(b"x")
                answer += connection.recv(4096)
            except TimeoutError:
                pass
        assert b" 408 " in answer.split(b"\r\n")[0]


def test_a_head_that_drips_in_is_cut_off_at_the_deadline(make_gateway: MakeGateway, model: FakeModel) -> None:
    gateway = make_gateway(GATEWAY_TIMEOUT_SECONDS="1").start_ready(routing(model))
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=0.1) as connection:

        def closed() -> bool:
            try:
                connection.sendall(b"X")
                return connection.recv(1) == b""
            except TimeoutError:
                return False
            except OSError:
                return True

        connection.sendall(b"POST /predict HTTP/1.1\r\nX-Long: ")
        eventually(closed, "the connection is closed")


def test_heads_that_drip_in_hold_no_thread_for_long(make_gateway: MakeGateway, model: FakeModel) -> None:
    # More of them than threads, in requests that may take longer than this test waits.
    gateway = make_gateway(GATEWAY_TIMEOUT_SECONDS="60").start_ready(routing(model))
    slow = [socket.create_connection(("127.0.0.1", gateway.port)) for _ in range(90)]
    try:
        for each in slow:
            each.sendall(b"POST /predict HTTP/1.1\r\nX-Long: ")
        assert request(gateway.port, "GET", "/").status == 200
        for each in slow:  # some of them are kept for longer, but not for 60 s
            each.settimeout(30)
            assert each.recv(1) == b""
    finally:
        for each in slow:
            each.close()


def test_slow_bodies_take_no_place_from_requests_that_have_arrived(
    make_gateway: MakeGateway, model: FakeModel
) -> None:
    gateway = make_gateway(GATEWAY_TIMEOUT_SECONDS="60").start_ready(routing(model))
    slow = [socket.create_connection(("127.0.0.1", gateway.port)) for _ in range(100)]
    try:
        for each in slow:
            each.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc")
        eventually(lambda: "_connections 100.0" in gateway.metrics(), "all of them are read")
        assert gateway.predict(picture()).status == 200
        assert "requests_in_flight 0.0" in gateway.metrics()
        # They may end what they began.
        for each in slow:
            each.sendall(b"x" * 997)
            each.settimeout(30)
            assert each.recv(4096).startswith(b"HTTP/1.1 415 ")
    finally:
        for each in slow:
            each.close()


def test_idle_connections_hold_no_thread(make_gateway: MakeGateway, model: FakeModel) -> None:
    gateway = make_gateway().start_ready(routing(model))
    idle = [socket.create_connection(("127.0.0.1", gateway.port)) for _ in range(300)]
    try:
        assert gateway.predict(picture()).status == 200
    finally:
        for each in idle:
            each.close()


def test_clients_that_ask_and_do_not_read_keep_no_thread_for_ever(
    make_gateway: MakeGateway, model: FakeModel
) -> None:
    gateway = make_gateway(GATEWAY_TIMEOUT_SECONDS="1").start_ready(routing(model))
    deaf = [socket.socket() for _ in range(90)]  # more than there are threads

    def answered() -> int:
        found = re.search(r'requests_total\{route="/openapi.json",status="200"\} (\d+)', gateway.metrics())
        return int(found[1]) if found else 0

    def stalled() -> bool:
        before = answered()
        time.sleep(0.5)
        return before > 0 and answered() == before

    try:
        for each in deaf:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            each.connect(("127.0.0.1", gateway.port))
            # Many times what the buffers between the two hold.
            each.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 1000)
        eventually(stalled, "nothing is sent any more", 60)
        assert request(gateway.port, "GET", "/").status == 200
    finally:
        for each in deaf:
            each.close()


@pytest.mark.parametrize("path", [b"/nowhere", b"/predict"])
def test_refused_requests_whose_body_never_arrives_do_not_delay_others(
    make_gateway: MakeGateway, model: FakeModel, path: bytes
) -> None:
    # More requests than threads, each of which may take longer to arrive than this test waits.
    gateway = make_gateway(GATEWAY_TIMEOUT_SECONDS="60").start_ready(routing(model))
    stalled = [socket.create_connection(("127.0.0.1", gateway.port)) for _ in range(90)]
    try:
        for each in stalled:
            each.sendall(b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc" % path)
        assert request(gateway.port, "GET", "/").status == 200
    finally:
        for each in stalled:
            each.close()


def test_a_refusal_before_the_end_of_the_body_has_connection_close(
    shared_gateway: GatewayProcess,
) -> None:
    with socket.create_connection(("127.0.0.1", shared_gateway.port), timeout=60) as connection:
        connection.sendall(b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc")
        answer = connection.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"\r\nConnection: close\r\n" in answer


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /" + b"a" * 10_000 + b" HTTP/1.1\r\n", 414),
        (b"GET / HTTP/1.1\r\nCookie: " + b"a" * 20_000 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"X-A: b\r\n" * 300, 431),
    ],
)
def test_a_request_head_that_is_too_large_gets_an_error_response(
    shared_gateway: GatewayProcess, head: bytes, status: int
) -> None:
    with socket.create_connection(("127.0.0.1", shared_gateway.port), timeout=60) as connection:
        connection.sendall(head + b"Host: x\r\n\r\n")
        answer = connection.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nX-Request-ID: " in answer


def test_clients_that_keep_their_connection_open_do_not_delay_others(
    make_gateway: MakeGateway, model: FakeModel
) -> None:
    gateway = make_gateway().start_ready(routing(model))
    # gunicorn alone waits 2 s for each of them in the thread that accepts: longer than a request here may
    # take.
    rude = [socket.create_connection(("127.0.0.1", gateway.port)) for _ in range(30)]
    try:
        for each in rude:
            each.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert gateway.predict(picture()).status == 200
        # They still get their response; then the gateway leaves the connection.
        assert rude[0].makefile("rb").readline() == b"HTTP/1.0 200 OK\r\n"
    finally:
        for each in rude:
            each.close()


def test_a_connection_on_which_nothing_was_sent_does_not_hold_up_the_end(
    make_gateway: MakeGateway, model: FakeModel
) -> None:
    # The time for requests under way is longer than this test waits for the process.
    gateway = make_gateway(GATEWAY_TIMEOUT_SECONDS="60").start_ready(routing(model))
    with socket.create_connection(("127.0.0.1", gateway.port)):
        assert gateway.predict(picture()).status == 200
        gateway.terminate()
        assert gateway.wait() == 0


@pytest.mark.parametrize(
    "raw",
    [
        b"NONSENSE\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc",
        b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: x\r\nBad Header: 1\r\n\r\n",
        b"GET /" + b"a" * 10_000 + b" HTTP/1.1\r\n\r\n",
    ],
)
def test_requests_that_are_not_http_are_client_errors(shared_gateway: GatewayProcess, raw: bytes) -> None:
    with socket.create_connection(("127.0.0.1", shared_gateway.port), timeout=60) as connection:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    assert answer.startswith(b"HTTP/1.1 4")
    assert b"application/problem+json" in answer
    assert shared_gateway.predict(picture()).status == 200


@pytest.mark.parametrize(
    ("raw", "status", "cause"),
    [
        (b"GET /predict?token=SECRET HTTP/9.9\r\n\r\n", 400, "bad-request"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nBad Header: SECRET\r\n\r\n", 400, "bad-request"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nCookie: SECRET\x00\r\n\r\n", 400, "bad-request"),
        (b"\xff\xd8\xff\xe0SECRET\r\n\r\n", 400, "bad-request"),
        (b"GET /?token=SECRET" + b"a" * 10_000 + b" HTTP/1.1\r\n\r\n", 414, "url-too-long"),
        (b"GET / HTTP/1.1\r\nCookie: SECRET" + b"a" * 20_000 + b"\r\n\r\n", 431, "headers-too-large"),
    ],
    ids=["version", "name of a header", "header", "picture", "long path", "long header"],
)
def test_requests_that_are_not_http_are_counted_and_logged_without_their_content(
    shared_gateway: GatewayProcess, raw: bytes, status: int, cause: str
) -> None:
    def counted() -> tuple[float, ...]:
        lines = dict(line.rsplit(" ", 1) for line in shared_gateway.metrics().splitlines())
        requests = f'imageclassifier_gateway_requests_total{{route="none",status="{status}"}}'
        errors = f'imageclassifier_gateway_errors_total{{cause="{cause}"}}'
        return tuple(float(lines.get(name, 0)) for name in (requests, errors))

    before = counted()
    with socket.create_connection(("127.0.0.1", shared_gateway.port), timeout=60) as connection:
        connection.sendall(raw)
        answer = connection.makefile("rb").read().decode()
    assert counted() == tuple(each + 1 for each in before)
    [request_id] = re.findall("X-Request-ID: (.*)\r\n", answer)
    line = shared_gateway.access_line(request_id)
    assert (line["status"], line["problem"]) == (status, cause)
    assert "SECRET" not in shared_gateway.log.read_text()


def test_chunked_bodies_are_read(shared_gateway: GatewayProcess) -> None:
    data = picture("red")
    chunks = iter([data[:100], data[100:]])
    assert request(shared_gateway.port, "POST", "/predict", chunks).json["label"] == "pizza"


def test_a_body_that_is_too_large_is_refused_with_a_readable_answer(
    make_gateway: MakeGateway, model: FakeModel
) -> None:
    gateway = make_gateway(GATEWAY_MAX_IMAGE_BYTES="100000").start_ready(routing(model))
    assert gateway.predict(b"x" * 3_000_000).status == 413
    chunked = request(gateway.port, "POST", "/predict", iter([b" " * 1_000_000] * 3))
    assert chunked.status == 413
    assert "The body has more than" in chunked.json["detail"]


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
