"""A well-behaved client: so many requests a second, each on a connection of its own.

python good_client.py HOST PORT SECONDS [REQUESTS-A-SECOND]      prints what it saw as JSON

A request begins when its turn has come, however long the ones before it take: a client that waits for each
answer would send little, and so see little, while the server is slow.
"""

from __future__ import annotations

import http.client
import io
import json
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from PIL import Image

#: A client gives a request up after so long.
_TIMEOUT_SECONDS = 15.0


@dataclass
class Seen:
    """What the client saw: how long each response with 200 took, and everything else by its name."""

    seconds: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)

    def quantile_ms(self, share: float) -> float:
        """A quantile of the responses with 200, in milliseconds; infinite when there are none."""
        ordered = sorted(self.seconds)
        return 1000 * ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("inf")


def picture() -> bytes:
    """A picture of 512 x 384 pixels."""
    buffer = io.BytesIO()
    Image.effect_noise((512, 384), 60).convert("RGB").save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def use(host: str, port: int, seconds: float, per_second: float = 10.0) -> Seen:
    """Sends requests for so long and waits for the last response."""
    seen, lock, body = Seen(), threading.Lock(), picture()

    def take_turn() -> None:
        began = time.monotonic()
        outcome = send_one(host, port, body)
        with lock:
            if outcome == "200":
                seen.seconds.append(time.monotonic() - began)
            else:
                seen.failures[outcome] += 1

    began = time.monotonic()
    threads = []
    for number in range(int(seconds * per_second)):
        time.sleep(max(0.0, began + number / per_second - time.monotonic()))
        threads.append(threading.Thread(target=take_turn))
        threads[-1].start()
    for thread in threads:
        thread.join()
    return seen


def send_one(host: str, port: int, body: bytes) -> str:
    """The status of one request, or the name of what went wrong."""
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("POST", "/predict", body, {"Content-Type": "image/jpeg"})
        response = connection.getresponse()
        response.read()
        return str(response.status)
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__
    finally:
        connection.close()


if __name__ == "__main__":
    result = use(sys.argv[1], int(sys.argv[2]), *map(float, sys.argv[3:]))
    print(json.dumps({"seconds": result.seconds, "failures": result.failures}))
