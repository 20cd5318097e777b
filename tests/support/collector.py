"""A real OpenTelemetry Collector (kind/collector): it receives traces over OTLP, and prints them."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
from free_ports import free_port

_TOOL = Path(__file__).parents[2] / "kind/tool.py"
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
    built = subprocess.run(
        [sys.executable, _TOOL, "collector-binary"], check=True, stdout=subprocess.PIPE, text=True
    )
    port = free_port()
    config = folder / "collector.yaml"
    config.write_text(_CONFIG.format(port=port))
    running = Collector(f"http://127.0.0.1:{port}", folder / "spans.txt")
    with running.output.open("wb") as output, (folder / "collector.log").open("wb") as log:
        process = subprocess.Popen(
            [built.stdout.strip(), f"--config=file:{config}"], stdout=output, stderr=log
        )
        try:
            _wait(running, process, folder / "collector.log")
            yield running
        finally:
            process.terminate()
            process.wait()


def _wait(running: Collector, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise AssertionError(log.read_text())
        try:
            requests.get(running.endpoint, timeout=1)
        except requests.ConnectionError:
            time.sleep(0.02)
        else:
            return
    raise TimeoutError(running.endpoint)


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
