"""Detects requests that a browser sends for a page of another site. Pure.

Such a page can use the browser of anyone who opens it to send requests to a gateway in a private network. A
picture does no harm, but a URL would make the gateway fetch from hosts that the page cannot reach.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

#: The value that stands for every origin.
ANY = "*"

#: Returns the value of a request's header.
Header = Callable[[str], str | None]

#: The headers that a page may read: the request id, when to retry, and the link to the problem's description.
_EXPOSED = "X-Request-ID, Retry-After, Link"

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def origin_is_allowed(origin: str | None, allowed: tuple[str, ...]) -> bool:
    """Whether the owner allows pages of this origin to use the gateway."""
    return origin is not None and (ANY in allowed or origin.lower() in allowed)


def response_headers(origin: str | None, allowed: tuple[str, ...]) -> list[tuple[str, str]]:
    """The headers that let pages of the allowed origins read a response."""
    if not allowed:
        return []
    headers = [("Access-Control-Expose-Headers", _EXPOSED)]
    if ANY in allowed:
        return [*headers, ("Access-Control-Allow-Origin", ANY)]
    headers.append(("Vary", "Origin"))
    if origin is not None and origin_is_allowed(origin, allowed):
        headers.append(("Access-Control-Allow-Origin", origin))
    return headers


def is_from_browser(header: Header) -> bool:
    """Whether a browser sends the request. Every browser adds one of the two headers if it has a body."""
    return header("Origin") is not None or header("Sec-Fetch-Site") is not None


def is_foreign(header: Header) -> bool:
    """Whether a browser sends the request for a page of another origin.

    Another host of the same site counts as foreign too: it may serve pages that its users wrote.
    """
    site = header("Sec-Fetch-Site")
    if site is not None:
        return site not in ("same-origin", "none")
    # Browsers omit Sec-Fetch-Site over plain HTTP, and old browsers always do.
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
