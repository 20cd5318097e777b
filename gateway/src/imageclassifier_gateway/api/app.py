"""The Flask application, with everything that all routes share.

This is: request ids, problem documents for all failures, security headers, metrics and the access log.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from urllib.parse import unquote

from flask import Flask, Request, Response, g, request
from werkzeug.exceptions import ClientDisconnected, HTTPException
from werkzeug.wrappers import Response as BaseResponse

from ..access.api_keys import KEY_NAME
from ..gateway import Gateway
from ..http.access_log import Trace, log_access, request_id_of
from ..http.refusals import SAFETY_HEADERS, problem_document
from ..limits.admission import FIRST_BYTE_AT
from ..problems import MEDIA_TYPE, Problem, internal_error
from ..tracing import NO_SPAN
from . import cors
from .open_inference import open_inference_routes
from .page_routes import page_routes
from .predict import predict_routes
from .tfserving_rest import tfserving_routes

#: W3C Trace Context: version, trace id, parent id, flags.
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}\Z")

_CAUSE_OF_STATUS = {404: "not-found", 405: "method-not-allowed"}


def create_app(gateway: Gateway) -> Flask:
    """The WSGI application for a gateway."""
    settings = gateway.settings
    app = Flask("imageclassifier_gateway", static_folder=None)
    app.register_blueprint(predict_routes(gateway, gateway.admission))
    app.register_blueprint(tfserving_routes(gateway, gateway.admission))
    app.register_blueprint(open_inference_routes(gateway, gateway.admission))
    app.register_blueprint(page_routes(gateway))

    @app.before_request
    def identify() -> None:
        environ = request.environ
        given = environ.get("HTTP_X_REQUEST_ID", "")
        header = environ.get("HTTP_TRACEPARENT", "")
        traceparent = header if _TRACEPARENT.match(header) else None
        first_byte_at = environ.get(FIRST_BYTE_AT) or time.monotonic()
        span = gateway.tracer.begin(_span_name(), traceparent, first_byte_at)
        g.trace = Trace(
            first_byte_at=first_byte_at,
            request_id=request_id_of(given),
            traceparent=span.traceparent or traceparent,
            span=span,
        )

    cors.install(app, settings.cors_allowed_origins)

    @app.errorhandler(Exception)
    def fail(error: Exception) -> BaseResponse:
        if isinstance(error, HTTPException) and error.response is None and (error.code or 500) < 400:
            return error.get_response(request.environ)
        problem = _as_problem(error)
        gateway.stats.problems.labels(problem.cause).inc()
        trace: Trace = g.trace
        trace.log_fields["problem"] = problem.cause
        document = problem_document(problem, trace.request_id, request.path.startswith(("/v1/", "/v2/")))
        response = Response(document, problem.status, mimetype=MEDIA_TYPE)
        response.headers.update(problem.headers)
        response.headers["Link"] = problem.link(request.path)
        return response

    @app.after_request
    def finish(response: Response) -> Response:
        trace: Trace = g.trace
        headers = response.headers
        headers.add("X-Request-ID", trace.request_id)
        headers.extend(SAFETY_HEADERS)
        headers.setdefault("Cache-Control", "no-store")
        asked: Request = request._get_current_object()  # type: ignore[attr-defined]
        rule = asked.url_rule.rule if asked.url_rule else "none"
        gateway.stats.requests.labels(rule, response.status_code).inc()
        if trace.seconds:
            trace.seconds["total"] = time.monotonic() - trace.first_byte_at
            for stage, seconds in trace.seconds.items():
                gateway.stats.stages[stage].observe(seconds)
        _log(trace, asked, response, rule)
        _end_span(trace, asked, response, rule)
        return response

    return app


def wants_body(app: Flask) -> Callable[[str, str], bool]:
    """A function that returns whether a route reads the body of a request with this method and path."""
    routes = app.url_map.bind("")

    def asks(method: str, path: str) -> bool:
        try:
            routes.match(unquote(path), method)
        except HTTPException:
            return False
        return method == "POST"

    return asks


def _as_problem(error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, ClientDisconnected):
        return Problem("bad-request", "The body of the request is not valid HTTP.")
    if isinstance(error, HTTPException) and (error.code or 500) < 500:
        cause = _CAUSE_OF_STATUS.get(error.code or 400, "bad-request")
        headers = {name: value for name, value in error.get_headers() if name == "Allow"}
        return Problem(cause, _SENTENCES.get(cause, error.description or "The request is invalid."), headers)
    logging.getLogger(__name__).error(
        "The request %s failed because of a bug.", g.trace.request_id, exc_info=error
    )
    return internal_error(g.trace.request_id)


_SENTENCES = {
    "not-found": "This path does not exist. POST pictures to /predict; /openapi.json describes the API.",
    "method-not-allowed": "This path does not accept this method; the Allow header lists those it accepts.",
}


def _span_name() -> str:
    """The method and the route: a path of a client could be anything."""
    return f"{request.method} {request.url_rule.rule}" if request.url_rule else request.method


def _end_span(trace: Trace, asked: Request, response: Response, rule: str) -> None:
    if trace.span is NO_SPAN:
        return
    trace.span.set(
        http__request__method=asked.method,
        http__route=rule,
        http__response__status_code=response.status_code,
        imageclassifier__request_id=trace.request_id,
        **{f"imageclassifier__{name}": value for name, value in trace.log_fields.items()},
    )
    if response.status_code >= 500:
        trace.span.fail(str(trace.log_fields.get("problem", response.status_code)))
    trace.span.end()


def _log(trace: Trace, asked: Request, response: Response, rule: str) -> None:
    fields = {
        "method": asked.method,
        "route": rule,
        "status": response.status_code,
        "duration_ms": round((time.monotonic() - trace.first_byte_at) * 1000, 1),
        "request_bytes": asked.content_length,
        "response_bytes": response.calculate_content_length(),
        "request_id": trace.request_id,
    }
    if key_name := asked.environ.get(KEY_NAME):
        fields["key"] = key_name
    if trace.traceparent:
        fields["trace_id"] = trace.traceparent.split("-")[1]
    log_access(fields | trace.log_fields)
