"""Problem documents for requests that never reach the Flask application."""

from __future__ import annotations

import json
import time
from http import HTTPStatus

from ..problems import MEDIA_TYPE, Problem
from ..stats import Stats
from .access_log import log_access, request_id_of
from .origins import response_headers
from .request_parser import RequestHead
from .wsgi import Response, split_target

#: Headers of every response. Browsers must not guess another content type, frame the page, or send its
#: address to other sites.
SAFETY_HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    # Only files of the gateway itself: nothing from other sites, nothing inline, no framing.
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
)


def refusal(
    problem: Problem, head: RequestHead, first_byte_at: float, stats: Stats, allowed_origins: tuple[str, ...]
) -> Response:
    """The response that reports the problem. It is counted and logged like every other response."""
    request_id = request_id_of(head.value(b"x-request-id"))
    stats.problems.labels(problem.cause).inc()
    stats.requests.labels("none", problem.status).inc()
    # The log must not contain what the client sent: the query may hold a secret.
    log_access(
        {
            "method": head.method or None,
            "route": "none",
            "status": problem.status,
            "duration_ms": round((time.monotonic() - first_byte_at) * 1000, 1),
            "request_id": request_id,
            "problem": problem.cause,
        }
    )
    document = problem_document(problem, request_id, head.target.startswith((b"/v1/", b"/v2/")))
    headers = [
        ("Content-Type", MEDIA_TYPE),
        ("X-Request-ID", request_id),
        *SAFETY_HEADERS,
        ("Cache-Control", "no-store"),
        ("Link", problem.link(_path(head))),
        *response_headers(head.value(b"origin") or None, allowed_origins),
        *problem.headers.items(),
    ]
    status = f"{problem.status} {HTTPStatus(problem.status).phrase}"
    return Response(status, headers, document.encode())


def _path(head: RequestHead) -> str:
    try:
        return split_target(head.target)[0]
    except Problem:
        return "/"


def problem_document(problem: Problem, request_id: str, with_error_field: bool) -> str:
    """The body of a problem's response."""
    document = problem.document(request_id)
    if with_error_field:
        document["error"] = problem.detail  # where clients of TensorFlow Serving and of V2 look for it
    return json.dumps(document)
