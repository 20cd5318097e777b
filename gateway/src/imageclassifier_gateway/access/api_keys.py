"""Checks the API key of a request by its head, before any of its body is read."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from ..limits.token_bucket import TokenBucket
from ..problems import Problem
from ..stats import Stats
from .entry import Client
from .key_folder import KeyFolder, Keys

#: The key of a request's WSGI environment under which the server stores the name of its API key.
KEY_NAME = "imageclassifier.key_name"

#: The paths that need no key: health, the page with its files, and the descriptions of the API and of its
#: problems. Every other path needs one, also a path that does not exist, so that no spelling of a path avoids
#: the check.
OPEN_PATHS = frozenset(
    {"/", "/page.js", "/page.css", "/problems", "/openapi.json", "/v2/health/live", "/v2/health/ready"}
)

_HOW_TO_SEND = "Send it in the header X-API-Key, or as 'Authorization: Bearer KEY'."

#: Returns all values of a header, whose name is in lower case.
Values = Callable[[bytes], list[bytes]]


class ApiKeys:
    """Tells clients apart by their keys, and limits how often each may send requests.

    Only the event loop calls `check`, so it needs no lock. Each gateway process counts for itself.
    """

    def __init__(self, folder: KeyFolder, stats: Stats, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._stats = stats
        self._clock = clock
        self._known: Keys = folder.keys
        self._buckets: dict[str, TokenBucket] = {}

    @property
    def error(self) -> str | None:
        """What is wrong with the keys; None if nothing is."""
        return self._folder.keys.error

    @property
    def are_usable(self) -> bool:
        """Whether there is a client that may send requests."""
        return bool(self._folder.keys.names)

    def start(self) -> None:
        """Read the keys, and follow their changes."""
        self._folder.start()

    def stop(self) -> None:
        """Stop following the keys."""
        self._folder.stop()

    def check(self, method: str, path: str, values: Values) -> str:
        """The name of the client's key; empty for a request that needs none.

        Raises Problem without a valid key, and if the client has sent too many requests. A CORS preflight
        request is an OPTIONS request: browsers send it without a key.
        """
        if method == "OPTIONS" or path in OPEN_PATHS:
            return ""
        keys = self._folder.keys
        if keys is not self._known:
            self._forget_others(keys)
        key = _sent_key(values)
        client = keys.find(key)
        if client is None:
            raise Problem(
                "key-refused",
                "The API key of the request is not valid. Check that it is complete, or ask the owner of the "
                "gateway for a new one.",
            )
        self._count(client)
        return client.name

    def _count(self, client: Client) -> None:
        limit = client.limit
        if limit is not None:
            bucket = self._buckets.get(client.name)
            if bucket is None or bucket.limit != (limit.rate, limit.burst):
                bucket = self._buckets[client.name] = TokenBucket(limit.rate, limit.burst, self._clock())
            wait_seconds = bucket.take(self._clock())
            if wait_seconds > 0:
                self._stats.key_requests.labels(client.name, "limited").inc()
                retry_after = str(math.ceil(wait_seconds))
                raise Problem(
                    "rate-limited",
                    f"The API key '{client.name}' allows {limit.rate:g} requests per second and "
                    f"{limit.burst} at once. Retry after {retry_after} s.",
                    {"Retry-After": retry_after},
                )
        self._stats.key_requests.labels(client.name, "accepted").inc()

    def _forget_others(self, keys: Keys) -> None:
        """Forget the clients that are gone, so that metrics and memory do not grow."""
        for name in self._known.names - keys.names:
            self._buckets.pop(name, None)
            self._stats.forget_key(name)
        self._known = keys


def _sent_key(values: Values) -> bytes:
    """The key that a request carries. Raises Problem.

    X-API-Key comes first: a proxy may use Authorization for itself.
    """
    keys = values(b"x-api-key")
    if not keys:
        keys = [
            token.strip()
            for scheme, _, token in (value.strip().partition(b" ") for value in values(b"authorization"))
            if scheme.lower() == b"bearer"
        ]
    if len(keys) > 1:
        raise Problem("bad-request", f"The request has {len(keys)} API keys. Send one.")
    key = keys[0].strip() if keys else b""
    if not key:
        raise Problem(
            "key-missing",
            f"This gateway needs an API key, and the request has none. {_HOW_TO_SEND}",
            {"WWW-Authenticate": 'Bearer realm="imageclassifier"'},
        )
    return key
