"""Which requests a web browser sends on behalf of a page of another site. Pure.

Such a page can have the browser of anybody who opens it send requests to a gateway that only this browser
reaches. Pictures do no harm, but a URL would make the gateway fetch from where the page itself cannot.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

#: The value that stands for every origin.
ANY = "*"

#: Gives a request's header by its name.
Header = Callable[[str], str | None]

#: What a page reads beside the body: a response's id, when to retry, and what a problem means.
_EXPOSED = "X-Request-ID, Retry-After, Link"

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def is_allowed(origin: str | None, allowed: tuple[str, ...]) -> bool:
    """Whether the owner allows pages of this origin to use the gateway."""
    return origin is not None and (ANY in allowed or origin.lower() in allowed)


def response_headers(origin: str | None, allowed: tuple[str, ...]) -> list[tuple[str, str]]:
    """What lets pages of the allowed origins read a response."""
    if not allowed:
        return []
    headers = [("Access-Control-Expose-Headers", _EXPOSED)]
    if ANY in allowed:
        return [*headers, ("Access-Control-Allow-Origin", ANY)]
    headers.append(("Vary", "Origin"))
    if origin is not None and is_allowed(origin, allowed):
        headers.append(("Access-Control-Allow-Origin", origin))
    return headers


def is_from_browser(header: Header) -> bool:
    """Whether a program of a web page sends the request. Every browser marks those that have a body."""
    return header("Origin") is not None or header("Sec-Fetch-Site") is not None


def is_foreign(header: Header) -> bool:
    """Whether a browser sends the request for a page of another origin.

    Another host of the same site counts as foreign too: it may hold what its users wrote.
    """
    site = header("Sec-Fetch-Site")
    if site is not None:
        return site not in ("same-origin", "none")
    # Browsers leave Sec-Fetch-Site out over plain HTTP, and old ones always.
    origin = header("Origin")
    if origin is None:
        return False
    try:
        parts = urlsplit(origin.lower())
    except ValueError:
        return True
    port = _DEFAULT_PORTS.get(parts.scheme, "")
    host = (header("Host") or "").lower().removesuffix(port)
    return not host or parts.netloc.removesuffix(port) != host
