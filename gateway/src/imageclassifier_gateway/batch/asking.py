"""Sends pictures to the gateway, one connection for each thread, and retries as the gateway asks."""

from __future__ import annotations

import contextlib
import json
import random
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from .. import __version__
from ..model_files.retries import cause
from .errors import BatchInterruptedError, BatchRefusedError
from .pace import Pace

_TIMEOUT_SECONDS = 120
#: Another run may begin with a new pod, on another node.
_PATIENCE_SECONDS = 1800
_LONGEST_WAIT_SECONDS = 60
#: The gateway or the model has no room or no pod now. The picture is not the cause.
_LATER = (429, 503)
#: The picture may be the cause, so the batch retries it only a few times.
_MAYBE_LATER = (408, 500, 502, 504)
_ATTEMPTS = 5

Wait = Callable[[float], None]
"""Waits for some seconds, or raises BatchInterruptedError if the batch has to end."""


@dataclass(frozen=True)
class Gateway:
    """The gateway at a URL, such as `http://pizza-gateway.default.svc:80`."""

    url: str
    key: str = ""
    tls: ssl.SSLContext | None = None

    def connection(self) -> HTTPConnection:
        """A new connection, which opens at its first request."""
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BatchRefusedError(
                f"{self.url} is no URL of a gateway. Use http://NAME-gateway.NAMESPACE.svc."
            )
        if parts.scheme == "http":
            return HTTPConnection(parts.hostname, parts.port, timeout=_TIMEOUT_SECONDS)
        return HTTPSConnection(parts.hostname, parts.port, timeout=_TIMEOUT_SECONDS, context=self.tls)

    def headers(self) -> dict[str, str]:
        """The headers of each request."""
        headers = {
            "Content-Type": "application/octet-stream",
            "User-Agent": f"imageclassifier-batch/{__version__}",
        }
        return headers | ({"X-API-Key": self.key} if self.key else {})

    @property
    def path(self) -> str:
        """The path of the requests; the URL may have a prefix."""
        return f"{urlsplit(self.url).path.rstrip('/')}/predict"


@dataclass(frozen=True)
class _Reply:
    status: int
    retry_after: str
    body: bytes

    @property
    def document(self) -> Mapping[str, Any]:
        try:
            document = json.loads(self.body)
        except ValueError:
            return {}
        return document if isinstance(document, dict) else {}

    @property
    def prediction(self) -> Mapping[str, Any] | None:
        """The response of a gateway with a prediction, whose label may be null; None for any other."""
        document = self.document if self.status == 200 else {}
        return document if "label" in document else None

    @property
    def sentence(self) -> str:
        """The sentence of a problem document, or the status."""
        return str(self.document.get("detail") or f"The gateway responded with the status {self.status}.")


class Asker:
    """Classifies pictures over one connection, one after the other. `complain`: reports why it waits."""

    def __init__(self, gateway: Gateway, wait: Wait, complain: Callable[[str], None]) -> None:
        self._gateway, self._wait, self._complain = gateway, wait, complain
        self._connection = gateway.connection()
        self._pace = Pace()
        self._pause_seconds = 0.0

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def classify(self, picture: bytes) -> Mapping[str, Any]:
        """The response for a picture.

        Raises ValueError with the sentence of the gateway if it refuses this picture, BatchRefusedError if it
        refuses all, BatchInterruptedError if it has not answered for half an hour.
        """
        self._wait(self._pause_seconds)
        gives_up = time.monotonic() + _PATIENCE_SECONDS
        attempt = failures = 0
        while True:
            attempt += 1
            started = time.monotonic()
            try:
                reply = self._send(picture)
            except (OSError, HTTPException) as error:
                self._refuse_certificate(error)
                why, retry_after = f"does not answer: {cause(error)}.", ""
            else:
                prediction = reply.prediction
                if prediction is not None:
                    self._pause_seconds = self._pace.pause_seconds(time.monotonic() - started)
                    return prediction
                failures += reply.status in _MAYBE_LATER
                if failures == _ATTEMPTS or reply.status not in (*_LATER, *_MAYBE_LATER):
                    raise self._refusal(reply)
                why, retry_after = f"responds with {reply.status}: {reply.sentence}", reply.retry_after
            if time.monotonic() > gives_up:
                raise BatchInterruptedError(
                    f"The gateway {self._gateway.url} {why} Nothing was classified for half an hour. Look at "
                    "`kubectl imageclassifier why`; the next run continues."
                )
            self._complain(f"The gateway {why}")
            self._wait(wait_seconds(attempt, retry_after))

    def _send(self, picture: bytes) -> _Reply:
        # The gateway may have closed a connection that was not used for a while: then try a new one at once.
        used = self._connection.sock is not None
        try:
            return self._exchange(picture)
        except (ConnectionError, HTTPException):
            self._connection.close()
            if not used:
                raise
        except OSError:
            self._connection.close()
            raise
        return self._exchange(picture)

    def _exchange(self, picture: bytes) -> _Reply:
        # The gateway may refuse a request before it has read the body.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._connection.request("POST", self._gateway.path, picture, self._gateway.headers())
        response = self._connection.getresponse()
        reply = _Reply(response.status, response.getheader("Retry-After", ""), response.read())
        if response.will_close:
            self._connection.close()
        return reply

    def _refusal(self, reply: _Reply) -> Exception:
        if reply.status in (401, 403):
            return BatchRefusedError(
                f"The gateway refuses the API key: {reply.sentence} Give the batch a key in "
                "IMAGECLASSIFIER_API_KEY."
            )
        # Another server responds to every picture with a page or a redirect, such as one to a sign-in.
        if reply.status < 400 or reply.status in (404, 405):
            return BatchRefusedError(
                f"{self._gateway.url} has no classifier: it responds with {reply.status}. Correct the URL."
            )
        return ValueError(reply.sentence)

    def _refuse_certificate(self, error: Exception) -> None:
        if isinstance(error, ssl.SSLCertVerificationError):
            raise BatchRefusedError(
                f"The certificate of {self._gateway.url} cannot be verified: "
                f"{error.verify_message.rstrip('.')}. Name the file of its authority with --gateway-ca."
            ) from None


def wait_seconds(attempt: int, retry_after: str) -> float:
    """How long to wait before the next attempt: as the gateway asks, else twice as long each time, at random.

    >>> wait_seconds(1, "7") >= 7, wait_seconds(1, "86400") <= 60 * 1.5, wait_seconds(9, "") <= 60 * 1.5
    (True, True, True)
    """
    asked = float(retry_after) if retry_after.isascii() and retry_after.isdecimal() else 0.5 * 2**attempt
    return min(asked, _LONGEST_WAIT_SECONDS) * random.uniform(1, 1.5)  # noqa: S311 - no secret
