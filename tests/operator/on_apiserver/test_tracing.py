"""The traces of reconciliations, received by a real collector; and nothing loaded without one."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from collector import CollectedSpan, Collector, collector
from imageclassifier_operator import tracing
from imageclassifier_operator.settings import SettingError
from operator_process import Bench


@pytest.fixture
def traced(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collector(tmp_path) as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(tracing, "_provider", None)
        monkeypatch.setattr(tracing, "_tracer", None)
        tracing.set_up()
        yield running
        tracing._provider.shutdown()


@pytest.mark.apiserver
def test_a_reconciliation_is_a_trace_with_its_steps(traced: Collector, bench: Bench) -> None:
    bench.create(1)
    bench.verify(1)
    bench.wait_ready(1)
    tracing.close()
    spans = traced.spans()
    whole = [span for span in spans if span.name == "reconcile" and not span.parent]
    assert {span.service for span in whole} == {"imageclassifier-operator"}
    own = [span for span in whole if span.attributes["k8s.namespace.name"] == bench.namespace]
    assert own
    steps = {span.name for span in spans if any(span.parent == each.span for each in own)}
    assert steps == {"observe", "write routing", "write children", "write status"}
    assert all(_trace_of(span, whole) for span in spans if span.parent)


def _trace_of(step: CollectedSpan, whole: list[CollectedSpan]) -> bool:
    """Whether a step is in the trace of the reconciliation that is its parent."""
    return any(step.parent == each.span and step.trace == each.trace for each in whole)


def test_a_collector_that_never_answers_does_not_keep_the_operator_from_its_end() -> None:
    program = (
        "import atexit, time; from imageclassifier_operator import tracing; "
        "atexit.register(lambda: print(time.monotonic() - began)); "  # the last of what runs at the exit
        "tracing.set_up()\nwith tracing.span('a'): pass\n"
        "began = time.monotonic(); tracing.close()"
    )
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        environment = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    assert 1 <= float(done.stdout) < 5


def test_without_an_endpoint_nothing_of_opentelemetry_is_loaded() -> None:
    program = (
        "import sys; import imageclassifier_operator.__main__; "
        "from imageclassifier_operator import tracing; tracing.set_up({}); "
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout == "[]\n"


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(SettingError, match=r"Install imageclassifier\[tracing\], or remove the variable"):
        tracing.set_up({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"})
