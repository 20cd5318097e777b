"""Traces of reconciliations over OTLP. Without an endpoint, no package of OpenTelemetry is loaded.

The environment variables of OpenTelemetry have the settings: docs/tracing.md.
"""

import contextlib
import os
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from imageclassifier_operator.settings import SettingError

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_SERVICE = "imageclassifier-operator"
_CLOSE_SECONDS = 1.0

_provider: Any = None
_tracer: Any = None


def set_up(environment: Mapping[str, str] = os.environ) -> None:
    """Start to send traces if the environment has an endpoint. Raises SettingError without the packages."""
    global _provider, _tracer
    disabled = environment.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if disabled or not any(environment.get(name) for name in _ENDPOINTS):
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise SettingError(
            f"The environment variable OTEL_EXPORTER_OTLP_ENDPOINT is set, but the package {error.name} is "
            "not installed. Install imageclassifier[tracing], or remove the variable."
        ) from None
    name = environment.get("OTEL_SERVICE_NAME") or _SERVICE
    # At the exit of Python it would wait for the collector once more.
    _provider = TracerProvider(resource=Resource.create({"service.name": name}), shutdown_on_exit=False)
    _provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    _tracer = _provider.get_tracer("imageclassifier_operator")


def close() -> None:
    """Send the last spans, for a second at most."""
    if _provider is None:
        return
    # force_flush ignores its timeout: https://github.com/open-telemetry/opentelemetry-python/issues/4568
    sending = threading.Thread(target=_provider.force_flush, daemon=True)
    sending.start()
    sending.join(_CLOSE_SECONDS)


@contextlib.contextmanager
def span(name: str, **attributes: str) -> Iterator[None]:
    """A span below the one that is open in this task. An exception marks it as failed.

    Two underscores in the name of an attribute stand for a dot.
    """
    if _tracer is None:
        yield
        return
    values = {key.replace("__", "."): value for key, value in attributes.items()}
    with _tracer.start_as_current_span(name, attributes=values):
        yield
