"""Traces of requests. Without an OTLP endpoint, no package of OpenTelemetry is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")

Metadata = tuple[tuple[str, str], ...]
Attribute = str | int | float | bool


class TracingError(Exception):
    """Tracing is asked for and cannot start. The message says what to do."""


class Span:
    """A span that records nothing. Those that record are in otlp.py."""

    @property
    def traceparent(self) -> str | None:
        """The value of the header that makes this span the parent of another one."""
        return None

    def child(self, name: str) -> Span:
        """Begin a span below this one. Use it in a `with` block, which ends it."""
        return self

    def record(self, name: str, began: float, ended: float) -> None:
        """Add a span below this one that is over. `began`, `ended`: in monotonic seconds."""

    def set(self, **attributes: Attribute) -> None:
        """Set attributes. Two underscores in a name stand for a dot."""

    def fail(self, kind: str) -> None:
        """Mark the span as failed, for a reason with this name."""

    def end(self) -> None:
        """End the span."""

    def metadata(self, given: Metadata) -> Metadata:
        """The metadata of a call, with which the called server continues this trace."""
        return given

    def __enter__(self) -> Span:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.fail(kind.__name__)
        self.end()


NO_SPAN = Span()


class Tracer:
    """A tracer that records nothing."""

    def begin(self, name: str, traceparent: str | None = None, began: float | None = None) -> Span:
        """Begin a span. `traceparent`: its parent in another process. `began`: in monotonic seconds."""
        return NO_SPAN

    def close(self) -> None:
        """Send the last spans."""


NO_TRACER = Tracer()


def tracer_of(environment: Mapping[str, str], service: str) -> Tracer:
    """The tracer that the variables of OpenTelemetry ask for. Raises TracingError.

    `service`: the name of the service, unless OTEL_SERVICE_NAME has one.
    """
    disabled = environment.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if disabled or not any(environment.get(name) for name in _ENDPOINTS):
        return NO_TRACER
    try:
        from .otlp import OtlpTracer  # these packages take 0.3 s to load
    except ImportError as error:
        raise TracingError(
            f"OTEL_EXPORTER_OTLP_ENDPOINT is set, but the package {error.name} is not installed. Install "
            "imageclassifier[tracing], or remove the variable."
        ) from None
    return OtlpTracer(environment.get("OTEL_SERVICE_NAME") or service)
