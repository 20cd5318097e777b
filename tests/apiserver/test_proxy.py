"""The proxy fails like a network, on demand."""

import socket
import threading
from collections.abc import Iterator

import pytest

from bare_apiserver import SeverableProxy


@pytest.fixture
def proxy() -> Iterator[SeverableProxy]:
    """A proxy in front of a server that echoes."""

    def echo(connection: socket.socket) -> None:
        with connection:
            while data := connection.recv(1000):
                connection.sendall(data)

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=echo, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, daemon=True).start()
        with SeverableProxy(("127.0.0.1", server.getsockname()[1])) as proxy:
            yield proxy
        server.shutdown(socket.SHUT_RDWR)


def connect(proxy: SeverableProxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=10)


def test_bytes_pass_both_ways(proxy: SeverableProxy) -> None:
    with connect(proxy) as client:
        client.sendall(b"hello")
        assert client.recv(100) == b"hello"
        assert proxy.connections == 1


def test_severing_resets_open_connections(proxy: SeverableProxy) -> None:
    with connect(proxy) as client:
        client.sendall(b"hello")
        client.recv(100)
        proxy.sever()
        with pytest.raises(ConnectionResetError):
            client.recv(100)


def test_new_connections_get_no_answer_until_restored(proxy: SeverableProxy) -> None:
    proxy.sever()
    try:
        with connect(proxy) as client:
            client.sendall(b"hello")
            answer = client.recv(100)
    except ConnectionError:  # while connecting, sending or receiving, as it happens
        answer = b""
    assert answer == b""
    proxy.restore()
    test_bytes_pass_both_ways(proxy)


def test_a_stalled_connection_stays_open_and_delivers_late(proxy: SeverableProxy) -> None:
    with connect(proxy) as client:
        client.sendall(b"before")
        assert client.recv(100) == b"before"
        proxy.stall()
        client.sendall(b"late")
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(100)
        proxy.restore()
        client.settimeout(10)
        assert client.recv(100) == b"late"
