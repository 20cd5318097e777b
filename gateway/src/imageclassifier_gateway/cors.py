"""Cross-origin resource sharing: lets pages of the origins that the owner names read the gateway's answers
(https://fetch.spec.whatwg.org/#http-cors-protocol)."""

from __future__ import annotations

import re

from flask import Flask, Response, request

from .origins import ANY, is_allowed

#: Chromium caps it at two hours.
_PREFLIGHT_SECONDS = 7200
#: Names of HTTP headers, separated by commas, as a browser lists them.
_HEADER_NAMES = re.compile(r"[A-Za-z0-9-]{1,64}(, ?[A-Za-z0-9-]{1,64}){0,31}\Z")
#: What a page reads beside the body: an answer's id, when to try again, and what a problem means.
_EXPOSED = "X-Request-ID, Retry-After, Link"


def install(app: Flask, allowed: tuple[str, ...]) -> None:
    """Answers preflight requests, and marks answers for pages of the allowed origins. No cookies are sent
    along: the gateway knows no logins."""
    if not allowed:
        return

    @app.before_request
    def answer_preflight() -> Response | None:
        if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers:
            return None
        answer = Response(status=204)
        if is_allowed(request.headers.get("Origin"), allowed):
            answer.headers["Access-Control-Allow-Methods"] = "GET, POST"
            answer.headers["Access-Control-Max-Age"] = str(_PREFLIGHT_SECONDS)
            wanted = request.headers.get("Access-Control-Request-Headers", "")
            if _HEADER_NAMES.match(wanted):
                # All of them: a header only matters where the gateway or the owner's `sticky` reads it.
                answer.headers["Access-Control-Allow-Headers"] = wanted
        return answer

    @app.after_request
    def mark(answer: Response) -> Response:
        origin = request.headers.get("Origin")
        if ANY in allowed:
            answer.headers["Access-Control-Allow-Origin"] = ANY
        else:
            answer.headers.add("Vary", "Origin")
            if origin is not None and is_allowed(origin, allowed):
                answer.headers["Access-Control-Allow-Origin"] = origin
        answer.headers["Access-Control-Expose-Headers"] = _EXPOSED
        return answer
