"""Sends requests to a gateway at a steady rate in the background, and counts their results."""

import http.client
import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any


@dataclass
class Tally:
    """The results of the requests. A response other than 200 is a failure, and so is a missing response."""

    answered: int = 0
    by_version: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    @property
    def sent(self) -> int:
        """The number of finished requests, failures included."""
        return self.answered + len(self.failures)

    def summary(self) -> str:
        """One sentence, such as `212 requests, 0 failed; answered by version 1: 100, version 2: 112`."""
        versions = ", ".join(f"version {v}: {n}" for v, n in sorted(self.by_version.items()))
        return f"{self.sent} requests, {len(self.failures)} failed; answered by {versions or 'nobody'}"


class SteadyTraffic:
    """Send one image `per_second` times per second over two connections until the block ends.

    A request counts as failed if it gets an error or no response within `timeout_seconds`. It is not retried,
    so each failure is counted.
    """

    def __init__(self, port: int, picture: bytes, per_second: float = 8, timeout_seconds: float = 15) -> None:
        self._port, self._picture, self._timeout = port, picture, timeout_seconds
        self._pause = 2 / per_second
        self._stop, self._lock = threading.Event(), threading.Lock()
        self.tally = Tally()
        self._threads = [threading.Thread(target=self._send, daemon=True) for _ in range(2)]

    def __enter__(self) -> "SteadyTraffic":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for_more(self, count: int, seconds: float = 60) -> None:
        """Return after `count` more requests have ended, or after `seconds`."""
        goal, until = self.tally.sent + count, time.monotonic() + seconds
        while self.tally.sent < goal and time.monotonic() < until:
            time.sleep(0.05)

    def _send(self) -> None:
        while not self._stop.wait(self._pause):
            try:
                answer = predict(self._port, self._picture, self._timeout)
            except (OSError, http.client.HTTPException, ValueError, PredictionRefused) as error:
                with self._lock:
                    self.tally.failures.append(f"{type(error).__name__}: {error}")
            else:
                with self._lock:
                    self.tally.answered += 1
                    self.tally.by_version[answer["model"]["version"]] += 1


class PredictionRefused(Exception):  # noqa: N818 - names an event
    """The gateway returned an error instead of a prediction; the message is its text."""


def predict(port: int, picture: bytes, timeout_seconds: float = 15) -> dict[str, Any]:
    """Send an image to the gateway and return its response. Raises PredictionRefused or OSError."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_seconds)
    try:
        connection.request(
            "POST", "/predict", body=picture, headers={"Content-Type": "application/octet-stream"}
        )
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    if response.status != 200:
        raise PredictionRefused(f"{response.status} {body[:300].decode('utf-8', 'replace')}")
    answer: dict[str, Any] = json.loads(body)
    return answer
