"""A cheap load generator: sends prepared bytes over kept-alive connections, one thread each.

python load.py SECONDS CONNECTIONS PICTURE-OR-JSON-FILE PORT[,PORT...] [PATH]      prints figures as JSON
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections import Counter
from pathlib import Path


def exchange(connection: socket.socket, request: bytes) -> tuple[int, bool]:
    """Send a request and read the response; returns its status and whether the connection is kept."""
    connection.sendall(request)
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(65536)
        if not chunk:
            raise ConnectionError
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    missing = int(headers.get(b"content-length", b"0")) - len(body)
    while missing > 0:
        missing -= len(connection.recv(65536))
    return int(head.split(b" ", 2)[1]), headers.get(b"connection", b"") != b"close"


def main() -> None:
    seconds, connections, path = float(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    ports = [int(port) for port in sys.argv[4].split(",")]
    target = (sys.argv[5:] or ["/predict"])[0]
    body = path.read_bytes()
    media_type = "application/json" if path.suffix == ".json" else "image/jpeg"
    request = (
        f"POST {target} HTTP/1.1\r\nHost: bench\r\n"
        f"Content-Type: {media_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body
    latencies: list[float] = []
    statuses: Counter[int] = Counter()
    #: Also before and after the measurement, for the CPU time of each.
    all_statuses: Counter[int] = Counter()
    measuring = threading.Event()
    stopped = threading.Event()

    def send(port: int) -> None:
        connection: socket.socket | None = None
        while not stopped.is_set():
            began = time.monotonic()
            try:
                if connection is None:
                    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
                status, kept = exchange(connection, request)
                if not kept:
                    connection.close()
                    connection = None
            except OSError:
                status, connection = 0, None
            all_statuses[status] += 1
            if measuring.is_set() and not stopped.is_set():
                statuses[status] += 1
                if status == 200:
                    latencies.append(time.monotonic() - began)

    threads = [threading.Thread(target=send, args=(ports[i % len(ports)],)) for i in range(connections)]
    for thread in threads:
        thread.start()
    time.sleep(min(1.0, seconds / 3))  # warm connections and caches
    measuring.set()
    began = time.monotonic()
    time.sleep(seconds)
    stopped.set()
    elapsed = time.monotonic() - began
    for thread in threads:
        thread.join()
    answered = all_statuses[200]
    ordered = sorted(latencies) or [float("nan")]
    print(
        json.dumps(
            {
                "per_second": len(latencies) / elapsed,
                "p50_ms": 1000 * ordered[len(ordered) // 2],
                "p99_ms": 1000 * ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)],
                "answered": answered,
                "not_200": sum(count for status, count in statuses.items() if status != 200),
            }
        )
    )


if __name__ == "__main__":
    main()
