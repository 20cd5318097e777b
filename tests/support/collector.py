"""A real OpenTelemetry Collector (kind/collector): it receives traces over OTLP, and prints them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
from free_ports import free_port
from waiting import wait_until

from laptop import golang

_CONFIG = """\
receivers:
  otlp:
    protocols:
      http:
        endpoint: 127.0.0.1:{port}
exporters:
  debug:
    verbosity: detailed
    use_internal_logger: false
service:
  telemetry:
    metrics:
      level: none
  pipelines:
    traces:
      receivers: [otlp]
      exporters: [debug]
"""
_START_SECONDS = 30


@dataclass(frozen=True)
class CollectedSpan:
    """A span as the collector has received it. `parent`: empty if it has none."""

    service: str
    name: str
    trace: str
    span: str
    parent: str
    status: str
    attributes: dict[str, str]


@dataclass(frozen=True)
class Collector:
    """The collector. `endpoint`: its URL for OTEL_EXPORTER_OTLP_ENDPOINT."""

    endpoint: str
    output: Path

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which a program sends its spans here, at once."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.endpoint, "OTEL_BSP_SCHEDULE_DELAY": "20"}

    def spans(self, trace: str | None = None) -> list[CollectedSpan]:
        """The spans so far, of one trace or of all."""
        text = self.output.read_text(encoding="utf-8", errors="replace")
        found: list[CollectedSpan] = []
        for resource in text.split("ResourceSpans #")[1:]:
            service = re.search(r"-> service\.name: Str\((.*?)\)", resource)
            for block in re.split(r"^Span #\d+$", resource, flags=re.MULTILINE)[1:]:
                if re.search("Status message.*\n", block):  # not one that is still being printed
                    found.append(_span(service[1] if service else "", block))
        return [span for span in found if trace in (None, span.trace)]


@contextmanager
def collector(folder: Path) -> Iterator[Collector]:
    """Run the collector in `folder`."""
    golang.ensure([golang.COLLECTOR])
    port = free_port()
    config = folder / "collector.yaml"
    config.write_text(_CONFIG.format(port=port))
    running = Collector(f"http://127.0.0.1:{port}", folder / "spans.txt")
    with running.output.open("wb") as output, (folder / "collector.log").open("wb") as log:
        process = subprocess.Popen(
            [golang.binary_path(golang.COLLECTOR), f"--config=file:{config}"], stdout=output, stderr=log
        )

        def listens() -> bool:
            assert process.poll() is None, Path(log.name).read_text()
            return _answers(running.endpoint)

        try:
            wait_until(listens, f"the collector at {running.endpoint}", _START_SECONDS)
            yield running
        finally:
            process.terminate()
            process.wait()


def _answers(url: str) -> bool:
    try:
        requests.get(url, timeout=1)
    except requests.ConnectionError:
        return False
    return True


def _span(service: str, block: str) -> CollectedSpan:
    def value(name: str) -> str:
        found = re.search(rf"^ +{name} *: *(.*)$", block, re.MULTILINE)
        return found[1].strip() if found else ""

    attributes = dict(re.findall(r"^ +-> (\S+): \w+\((.*)\)$", block, re.MULTILINE))
    return CollectedSpan(
        service,
        value("Name"),
        value("Trace ID"),
        value("ID"),
        value("Parent ID"),
        value("Status code"),
        attributes,
    )
