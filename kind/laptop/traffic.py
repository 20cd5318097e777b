"""Steady requests to a gateway while something else happens, and an honest count of how they went."""

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
    """How the requests went. A failure is any answer but a 200, and any request that got none."""

    answered: int = 0
    by_version: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    @property
    def sent(self) -> int:
        """All requests that came to an end, in answers or in failures."""
        return self.answered + len(self.failures)

    def summary(self) -> str:
        """One sentence, such as `212 requests, 0 failed; answered by version 1: 100, version 2: 112`."""
        versions = ", ".join(f"version {v}: {n}" for v, n in sorted(self.by_version.items()))
        return f"{self.sent} requests, {len(self.failures)} failed; answered by {versions or 'nobody'}"


class SteadyTraffic:
    """Sends one picture again and again, `per_second` times a second over two connections, until left.

    A request that is answered with an error, or not at all within `timeout_seconds`, counts as failed;
    it is never repeated, so nothing is glossed over.
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
        """Returns once `count` more requests have ended, or after `seconds`."""
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


class PredictionRefused(Exception):  # noqa: N818 - it says what happened
    """The gateway answered, but not with a prediction; the text is what it said."""


def predict(port: int, picture: bytes, timeout_seconds: float = 15) -> dict[str, Any]:
    """What the gateway on the loopback port answers to a picture; raises PredictionRefused or an OSError."""
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
