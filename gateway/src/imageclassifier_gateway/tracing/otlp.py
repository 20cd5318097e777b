"""Spans that the SDK of OpenTelemetry sends over OTLP. Its environment variables have the settings."""

from __future__ import annotations

import threading
import time
from typing import Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span as SdkSpan
from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context
from opentelemetry.trace import Tracer as SdkTracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from .. import __version__
from . import Attribute, Metadata, Span, Tracer

_W3C = TraceContextTextMapPropagator()
#: How long the end of the process waits for the last spans.
_CLOSE_SECONDS = 1.0


class OtlpSpan(Span):
    """A span of the SDK."""

    def __init__(self, tracer: SdkTracer, span: SdkSpan) -> None:
        self._tracer, self._span = tracer, span

    @property
    def traceparent(self) -> str | None:
        """The value of the header that makes this span the parent of another one."""
        carrier: dict[str, str] = {}
        _W3C.inject(carrier, set_span_in_context(self._span))
        return carrier.get("traceparent")

    def child(self, name: str) -> Span:
        """Begin a span below this one."""
        return OtlpSpan(self._tracer, self._tracer.start_span(name, set_span_in_context(self._span)))

    def record(self, name: str, began: float, ended: float) -> None:
        """Add a span below this one that is over."""
        context = set_span_in_context(self._span)
        self._tracer.start_span(name, context, start_time=_epoch(began)).end(_epoch(ended))

    def set(self, **attributes: Attribute) -> None:
        """Set attributes."""
        self._span.set_attributes({name.replace("__", "."): value for name, value in attributes.items()})

    def fail(self, kind: str) -> None:
        """Mark the span as failed."""
        self._span.set_attribute("error.type", kind)
        self._span.set_status(StatusCode.ERROR)

    def end(self) -> None:
        """End the span."""
        self._span.end()

    def metadata(self, given: Metadata) -> Metadata:
        """The metadata with this span as the parent."""
        traceparent = self.traceparent
        kept = tuple(each for each in given if each[0] != "traceparent")
        return given if traceparent is None else (*kept, ("traceparent", traceparent))


class OtlpTracer(Tracer):
    """Sends spans from a thread of its own. It drops spans when the collector takes none."""

    def __init__(self, service: str) -> None:
        attributes: dict[str, Any] = {"service.name": service, "service.version": __version__}
        # At the exit of Python it would wait for the collector once more.
        self._provider = TracerProvider(resource=Resource.create(attributes), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("imageclassifier_gateway", __version__)

    def begin(self, name: str, traceparent: str | None = None, began: float | None = None) -> Span:
        """Begin a span of a server."""
        carrier = {} if traceparent is None else {"traceparent": traceparent}
        started = None if began is None else _epoch(began)
        span = self._tracer.start_span(name, _W3C.extract(carrier), SpanKind.SERVER, start_time=started)
        return OtlpSpan(self._tracer, span)

    def close(self) -> None:
        """Send the last spans, for a second at most."""
        # force_flush ignores its timeout: https://github.com/open-telemetry/opentelemetry-python/issues/4568
        sending = threading.Thread(target=self._provider.force_flush, daemon=True)
        sending.start()
        sending.join(_CLOSE_SECONDS)


def _epoch(monotonic_seconds: float) -> int:
    """The nanoseconds since 1970 of a time in monotonic seconds."""
    return time.time_ns() - int((time.monotonic() - monotonic_seconds) * 1e9)
