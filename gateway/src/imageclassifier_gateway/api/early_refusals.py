"""Refuses requests with URLs for which there is no place, before they get a request thread.

The event loop refuses a request in 0.12 to 0.16 ms of CPU time, a request thread and Flask in 0.46 to 0.49.
Besides, a request in a thread has a place. A client that sends hundreds of such requests a second would take
the places of all requests.
"""

from __future__ import annotations

from collections.abc import Callable

from ..gateway import Gateway
from ..limits.slow import Slow
from ..problems import Problem
from .payload import Reference, read_json

#: A longer body is left to the request thread, because the event loop must not spend long on one request.
#: Most URLs are shorter; the longest have 8,192 characters.
_MAX_BYTES = 4096


def early_refusals(gateway: Gateway) -> Callable[[str, bytes], None]:
    """A function that takes a request's path and body, and raises Problem if its URLs have no place now.

    It reserves nothing, and leaves every other error to the application.
    """

    def check(path: str, body: bytes) -> None:
        if path != "/predict" or len(body) > _MAX_BYTES or body[:64].lstrip()[:1] != b"{":
            return
        try:
            payload = read_json(body, gateway.settings.max_pictures)
        except Problem:
            return
        urls = [source.url for source in payload.sources if isinstance(source, Reference)]
        if not urls:
            return
        gateway.admission.check_slow(Slow.URLS)
        # In a response with many results, a URL without a place is the error of one result.
        if not payload.many and (refusal := gateway.fetcher.refusal(urls[0])) is not None:
            gateway.stats.fetches.labels(refusal.outcome).inc()
            raise Problem(refusal.cause, str(refusal))

    return check
