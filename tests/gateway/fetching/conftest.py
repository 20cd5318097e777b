"""Fixtures: a hostile server on the loopback interface, and the names and connections around it."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from private_authority import PrivateAuthority

from fetching_world import World
from gateway_testbed import picture
from hostile_server import HostileServer


@pytest.fixture(scope="module")
def hostile() -> Iterator[HostileServer]:
    server = HostileServer(picture("red"))
    yield server
    server.stop()


@pytest.fixture
def world(hostile: HostileServer) -> World:
    hostile.requests.clear()
    return World(hostile)


@pytest.fixture
def tls_listener(hostile: HostileServer, tmp_path: Path) -> Iterator[tuple[int, str]]:
    """A TLS server for `pictures.example`, and the file of the authority that vouches for it."""
    authority = PrivateAuthority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.certificate_for("pictures.example"))
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(plain, server_side=True) as secure:
                    secure.recv(65536)
                    hostile.do_picture(secure)
            except OSError:
                plain.close()

    threading.Thread(target=serve, daemon=True).start()
    yield int(listener.getsockname()[1]), str(authority.ca_file)
    listener.close()
