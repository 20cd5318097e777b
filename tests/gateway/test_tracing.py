"""Traces of requests and verifications, received by a real collector; and no trace of tracing without one."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector import CollectedSpan, Collector, collector
from dataset_verification import plan
from fake_model import FakeModel
from gateway_process import GatewayProcess
from gateway_testbed import eventually, picture, routing
from imageclassifier_gateway.tracing import NO_TRACER, Tracer, TracingError, tracer_of
from imageclassifier_gateway.verify import __main__ as verify_program

TRACE, CLIENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
URLS = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    with collector(tmp_path_factory.mktemp("collector")) as running:
        yield running


@pytest.fixture(scope="module")
def model() -> Iterator[FakeModel]:
    model = FakeModel().start()
    yield model
    model.stop()


@pytest.fixture(scope="module")
def gateway(
    running: Collector, model: FakeModel, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    settings = {**running.environment, "OTEL_SERVICE_NAME": "pizza-gateway"}
    process = GatewayProcess(tmp_path_factory.mktemp("gateway"), **settings)
    yield process.start_ready(routing(model))
    process.stop()


def collected(running: Collector, trace: str, name: str) -> dict[str, CollectedSpan]:
    """The spans of a trace by their names, once the one called `name` is there."""

    def found() -> dict[str, CollectedSpan]:
        spans = {span.name: span for span in running.spans(trace)}
        return spans if name in spans else {}

    spans: dict[str, CollectedSpan] = eventually(found, f"the span {name} of the trace {trace}")
    return spans


def test_a_request_continues_the_trace_of_its_client_up_to_the_model_server(
    running: Collector, gateway: GatewayProcess, model: FakeModel
) -> None:
    answer = gateway.predict(picture(), traceparent=f"00-{TRACE}-{CLIENT}-01")
    assert answer.status == 200
    spans = collected(running, TRACE, "POST /predict")
    request = spans["POST /predict"]
    assert (request.service, request.parent) == ("pizza-gateway", CLIENT)
    assert request.attributes["http.response.status_code"] == "200"
    assert request.attributes["imageclassifier.request_id"] == answer.headers["x-request-id"]
    assert request.attributes["imageclassifier.version"] == "1"
    assert set(spans) == {"POST /predict", "receive", "decode", "model"}
    assert len(running.spans(TRACE)) == 4
    assert {spans[name].parent for name in ("receive", "decode", "model")} == {request.span}
    assert model.metadata[-1]["traceparent"] == f"00-{TRACE}-{spans['model'].span}-01"
    line = gateway.access_line(answer.headers["x-request-id"])
    assert line["trace_id"] == TRACE


def test_a_request_whose_client_samples_no_trace_is_not_recorded_but_passed_on(
    running: Collector, gateway: GatewayProcess, model: FakeModel
) -> None:
    unsampled, sampled = "1" * 32, "2" * 32
    gateway.predict(picture(), traceparent=f"00-{unsampled}-{CLIENT}-00")
    assert model.metadata[-1]["traceparent"].startswith(f"00-{unsampled}-")
    assert model.metadata[-1]["traceparent"].endswith("-00")
    gateway.predict(picture(), traceparent=f"00-{sampled}-{CLIENT}-01")
    collected(running, sampled, "POST /predict")
    assert running.spans(unsampled) == []


def test_a_failure_is_marked_and_a_fetch_is_measured_without_its_url(
    running: Collector, gateway: GatewayProcess, model: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = "3" * 32
    body = json.dumps({"url": "http://127.0.0.1/secret.jpg"}).encode()
    headers = {"traceparent": f"00-{trace}-{CLIENT}-01", "Content-Type": "application/json"}
    assert gateway.predict(body, **headers).status == 422
    spans = collected(running, trace, "POST /predict")
    assert {"receive", "fetch", "POST /predict"} == set(spans)
    assert spans["POST /predict"].attributes["imageclassifier.problem"] == "url-refused"
    assert "secret.jpg" not in running.output.read_text()
    broken = "4" * 32
    monkeypatch.setattr(model, "answer", lambda pixels: pixels.reshape(-1)[:1])
    assert gateway.predict(picture(), traceparent=f"00-{broken}-{CLIENT}-01").status == 502
    spans = collected(running, broken, "POST /predict")
    assert (spans["POST /predict"].status, spans["model"].status) == ("Error", "Error")
    assert spans["POST /predict"].attributes["error.type"] == "model-error"


def test_a_verification_is_a_trace_with_its_checks(
    running: Collector, model: FakeModel, tmp_path: Path
) -> None:
    document = plan(model, None, {})
    del document["dataset"]
    (tmp_path / "plan.json").write_text(json.dumps(document))
    done = subprocess.run(
        [sys.executable, "-m", "imageclassifier_gateway.verify", "--plan", tmp_path / "plan.json"],
        env={**os.environ, **running.environment, "GATEWAY_INTERNAL_PORT": "0"},
        stdout=subprocess.PIPE,
    )
    assert done.returncode == 0, done.stdout
    [whole] = eventually(
        lambda: [span for span in running.spans() if span.name == "verification"], "the verification's trace"
    )
    assert whole.service == "imageclassifier-verify"
    assert whole.attributes["imageclassifier.model"] == "pizza-model"
    checks = {span.name for span in running.spans(whole.trace) if span.parent == whole.span}
    assert {"contract", "golden pictures", "acceptance pictures", "latency"} <= checks
    assert model.metadata[-1]["traceparent"].startswith(f"00-{whole.trace}-")


@pytest.fixture
def silent() -> Iterator[dict[str, str]]:
    """The environment of a program whose collector accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{server.getsockname()[1]}"}


def test_a_collector_that_never_answers_does_not_keep_a_program_from_its_end(silent: dict[str, str]) -> None:
    program = (
        "import atexit, os, time; from imageclassifier_gateway.tracing import tracer_of; "
        "atexit.register(lambda: print(time.monotonic() - began)); "  # the last of what runs at the exit
        "tracer = tracer_of(os.environ, 'gateway'); tracer.begin('a').end(); "
        "began = time.monotonic(); tracer.close()"
    )
    command, environment = [sys.executable, "-c", program], {**os.environ, **silent}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    assert 1 <= float(done.stdout) < 5


def test_a_verdict_is_written_before_the_last_spans_are_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "termination-log"
    log.touch()
    (tmp_path / "plan.json").write_text("{}")
    sent_after: list[str] = []

    class Recorder(Tracer):
        def close(self) -> None:
            sent_after.append(log.read_text())

    monkeypatch.setattr(verify_program, "tracer_of", lambda *_: Recorder())
    monkeypatch.setattr(verify_program.Progress, "serve", lambda *_: None)
    arguments = ["--plan", str(tmp_path / "plan.json"), "--termination-log", str(log)]
    monkeypatch.setattr(sys, "argv", ["verify", *arguments])
    assert verify_program.main() == 2
    assert len(sent_after) == 1
    assert json.loads(sent_after[0])["passed"] is False


def test_without_an_endpoint_nothing_of_opentelemetry_is_loaded(tmp_path: Path) -> None:
    program = (
        "import sys; import imageclassifier_gateway.process, imageclassifier_gateway.gateway; "
        "import imageclassifier_gateway.api.app, imageclassifier_gateway.verify.__main__; "
        "from imageclassifier_gateway.tracing import tracer_of; tracer_of({}, 'gateway'); "
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout == "[]\n"
    assert tracer_of({"OTEL_SDK_DISABLED": "true", **URLS}, "gateway") is NO_TRACER


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imageclassifier_gateway.tracing.otlp", None)
    with pytest.raises(TracingError, match=r"Install imageclassifier\[tracing\], or remove the variable"):
        tracer_of(URLS, "gateway")
