"""Cross-origin resource sharing (CORS): lets pages of the allowed origins read responses.

https://fetch.spec.whatwg.org/#http-cors-protocol
"""

from __future__ import annotations

import re

from flask import Flask, Response, request

from ..http.origins import origin_is_allowed, response_headers

#: How long a browser may cache a preflight response. Chromium caches at most two hours.
_PREFLIGHT_SECONDS = 7200
#: A list of header names, as browsers send it.
_HEADER_NAMES = re.compile(r"[A-Za-z0-9-]{1,64}(, ?[A-Za-z0-9-]{1,64}){0,31}\Z")


def install(app: Flask, allowed: tuple[str, ...]) -> None:
    """Answer preflight requests, and mark responses for pages of the allowed origins.

    The gateway has no logins, so no cookies are allowed.
    """
    if not allowed:
        return

    @app.before_request
    def answer_preflight() -> Response | None:
        if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers:
            return None
        answer = Response(status=204)
        if origin_is_allowed(request.headers.get("Origin"), allowed):
            answer.headers["Access-Control-Allow-Methods"] = "GET, POST"
            answer.headers["Access-Control-Max-Age"] = str(_PREFLIGHT_SECONDS)
            wanted = request.headers.get("Access-Control-Request-Headers", "")
            if _HEADER_NAMES.match(wanted):
                # Allow all headers: the gateway reads only those it knows and the one in the owner's
                # `sticky`.
                answer.headers["Access-Control-Allow-Headers"] = wanted
        return answer

    @app.after_request
    def mark(answer: Response) -> Response:
        answer.headers.extend(response_headers(request.headers.get("Origin"), allowed))
        return answer
