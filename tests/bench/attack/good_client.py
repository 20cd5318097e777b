"""Well-behaved clients: a fixed number of requests per second, each on its own connection.

python good_client.py HOST PORT SECONDS ADDRESS NAME      prints the results of each client as JSON

The picture of the client that sends URLs is served at ADDRESS, which is one of this machine, and the URL has
NAME as its host.

A request starts at its time, even if earlier ones are still in progress. A client that waits for each
response would send few requests while the server is slow, and so measure too little.
"""

from __future__ import annotations

import base64
import http.client
import io
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image

#: A client gives a request up after so long.
_TIMEOUT_SECONDS = 15.0
#: The requests a second of each client that does not send pictures as the body itself.
_OTHERS_PER_SECOND = 2.0
#: Each client begins so long after the one before it, so that their requests do not wait for each other.
_OFFSET_SECONDS = 0.025


@dataclass(frozen=True)
class Upload:
    """The request that a client sends each time."""

    content_type: str
    body: bytes


@dataclass
class Seen:
    """The results of a client: the time of each response with 200, and the number of all others by name."""

    seconds: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)

    def quantile_ms(self, share: float) -> float:
        """A quantile of the responses with 200, in milliseconds; infinite when there are none."""
        ordered = sorted(self.seconds)
        return 1000 * ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("inf")

    @property
    def requests(self) -> int:
        """All requests, with and without a response of 200."""
        return len(self.seconds) + self.failures.total()

    # dataclasses.asdict counts the items of a Counter: its keys become pairs, which JSON cannot have.
    def document(self) -> dict[str, Any]:
        """The results as JSON values."""
        return {"seconds": self.seconds, "failures": dict(self.failures)}

    @classmethod
    def of(cls, document: dict[str, Any]) -> Seen:
        """The results from the values of `document`."""
        return cls(document["seconds"], Counter(document["failures"]))


def picture() -> bytes:
    """A picture of 512 x 384 pixels."""
    buffer = io.BytesIO()
    Image.effect_noise((512, 384), 60).convert("RGB").save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def use(host: str, port: int, seconds: float, upload: Upload | None = None, per_second: float = 10.0) -> Seen:
    """Send requests for this time, pictures by default, and wait for the last response."""
    seen, lock, sent = Seen(), threading.Lock(), upload or Upload("image/jpeg", picture())

    def take_turn() -> None:
        began = time.monotonic()
        outcome = send_one(host, port, sent)
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


def use_in_every_way(host: str, port: int, seconds: float, address: str, name: str) -> dict[str, Seen]:
    """One client for each way to send a picture, all at the same time."""
    data = picture()
    head = b'--cut\r\nContent-Disposition: form-data; name="file"; filename="p.jpg"\r\n\r\n'
    with served(data, address) as server_port, ThreadPoolExecutor() as clients:
        uploads = {
            "base64": _json({"image": base64.b64encode(data).decode()}),
            "form": Upload("multipart/form-data; boundary=cut", head + data + b"\r\n--cut--\r\n"),
            "URL": _json({"url": f"http://{name}:{server_port}/picture.jpg"}),
        }
        running = {"picture": clients.submit(use, host, port, seconds)}
        for way, upload in uploads.items():
            time.sleep(_OFFSET_SECONDS)
            running[way] = clients.submit(use, host, port, seconds, upload, _OTHERS_PER_SECOND)
        return {way: client.result() for way, client in running.items()}


def _json(document: dict[str, str]) -> Upload:
    return Upload("application/json", json.dumps(document).encode())


@contextmanager
def served(data: bytes, address: str) -> Iterator[int]:
    """Run a web server with one picture; yields its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "image/jpeg")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer((address, 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def send_one(host: str, port: int, upload: Upload) -> str:
    """The status of one request, or the name of the error."""
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("POST", "/predict", upload.body, {"Content-Type": upload.content_type})
        response = connection.getresponse()
        response.read()
        return str(response.status)
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__
    finally:
        connection.close()


if __name__ == "__main__":
    result = use_in_every_way(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), *sys.argv[4:6])
    print(json.dumps({way: seen.document() for way, seen in result.items()}))
