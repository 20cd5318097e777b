"""Fetching through a proxy, and with the certificates of a private authority, against real sockets."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fetching_world import LOOPBACK, MAX_BYTES, PUBLIC, World
from imageclassifier_gateway.config import SettingError, Settings
from imageclassifier_gateway.fetching.allowed_addresses import Address
from imageclassifier_gateway.fetching.connecting import begin_connecting
from imageclassifier_gateway.fetching.fetcher import Fetcher
from imageclassifier_gateway.fetching.proxy import Proxy
from imageclassifier_gateway.fetching.routes import Rules
from imageclassifier_gateway.fetching.trust import Trust
from imageclassifier_gateway.fetching.urls import FetchError
from imageclassifier_gateway.limits.deadline import Deadline

NAME = "proxy.example"


@dataclass
class PlayedProxy:
    """A proxy that connects each request to one port of this machine, or answers with `answer`."""

    to_port: int
    answer: bytes = b""
    heads: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            # Without this, the thread that waits in accept() would take one more connection.
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head and (chunk := client.recv(65536)):
                head += chunk
            self.heads.append(head.decode())
            if self.answer:
                client.sendall(self.answer)
                return
            with socket.create_connection(("127.0.0.1", self.to_port)) as server:
                if head.startswith(b"CONNECT"):
                    client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                else:
                    server.sendall(head)
                back = threading.Thread(target=_copy, args=(server, client))
                back.start()
                _copy(client, server)
                back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@dataclass
class Way:
    """A fetcher whose only way out is the proxy; other connections end at the hostile server."""

    world: World
    proxy: PlayedProxy
    direct: tuple[str, ...] = ()
    user: str = ""
    trust: Trust = field(default_factory=Trust)
    allow_private_networks: bool = False

    def begin(self, address: Address, port: int) -> socket.socket:
        self.world.connected.append(str(address))
        is_proxy = str(address) == self.world.names[NAME][0]
        return begin_connecting(LOOPBACK, self.proxy.port if is_proxy else self.world.server.port)

    def fetch(self, url: str) -> bytes:
        self.world.names[NAME] = ["10.0.0.9"]  # a private address, which URLs may not have
        rules = Rules(
            proxy=Proxy.parse(f"http://{NAME}:3128", self.direct, self.user, "open sesame"),
            trust=self.trust,
            allow_private_networks=self.allow_private_networks,
        )
        fetcher = Fetcher(max_bytes=MAX_BYTES, rules=rules, lookup=self.world.lookup, begin=self.begin)
        return fetcher.fetch(url, Deadline.after(60))


@pytest.fixture
def way(world: World) -> Iterator[Way]:
    proxy = PlayedProxy(world.server.port)
    yield Way(world, proxy)
    proxy.stop()


def test_a_plain_request_goes_to_the_proxy_which_resolves_the_name(way: Way) -> None:
    assert way.fetch("http://elsewhere.example/a?b=1") == way.world.server.picture
    assert way.world.resolved == [NAME]
    [head] = way.proxy.heads
    assert head.startswith("GET http://elsewhere.example/a?b=1 HTTP/1.1\r\nHost: elsewhere.example\r\n")
    assert "Proxy-Authorization" not in head


def test_https_goes_through_a_tunnel_and_is_checked_with_the_private_authority(
    way: Way, tls_listener: tuple[int, str]
) -> None:
    port, authority = tls_listener
    way.proxy.to_port = port
    with pytest.raises(FetchError, match=r"The TLS connection to pictures\.example failed"):
        way.fetch("https://pictures.example/")
    way.trust = Trust(Path(authority))
    assert way.fetch("https://pictures.example/") == way.world.server.picture
    assert way.proxy.heads[-1].startswith("CONNECT pictures.example:443 HTTP/1.1\r\n")
    assert way.world.resolved == [NAME, NAME]


@pytest.mark.parametrize("url", ["http://elsewhere.example/", "https://pictures.example/"])
def test_the_proxy_gets_the_user_and_the_password(way: Way, url: str) -> None:
    way.user, way.proxy.answer = "pizza", b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"
    with pytest.raises(FetchError, match=r"It wants a user and a password: see spec.gateway.urls.proxy"):
        way.fetch(url)
    assert "Proxy-Authorization: Basic cGl6emE6b3BlbiBzZXNhbWU=" in way.proxy.heads[0]


def test_a_host_that_the_proxy_refuses_is_named(way: Way) -> None:
    way.proxy.answer = b"HTTP/1.1 403 Forbidden\r\n\r\n"
    with pytest.raises(FetchError, match=r"pictures.example with status 403. Its rules do not allow"):
        way.fetch("https://pictures.example/")


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH\r\n\r\n", b"\r\n\r\n", b"x" * 100_000])
def test_what_is_no_proxy_is_an_error_of_the_fetch(way: Way, answer: bytes) -> None:
    way.proxy.answer = answer
    with pytest.raises(FetchError, match="The proxy of the gateway did not send a valid HTTP response"):
        way.fetch("https://pictures.example/")


def test_a_proxy_that_does_not_answer_is_named(way: Way) -> None:
    way.proxy.stop()
    with pytest.raises(FetchError, match=r"The proxy of the gateway, proxy.example:3128, could not be"):
        way.fetch("http://elsewhere.example/")


INSIDE = ["localhost", "web", "web.default.svc", "web.default.svc.cluster.local", "metadata.google.internal"]


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", [*INSIDE, "10.0.0.1", "127.0.0.1", "169.254.169.254", "[::1]"])
def test_the_proxy_is_not_asked_for_places_inside(way: Way, scheme: str, host: str) -> None:
    with pytest.raises(FetchError, match="The gateway does not fetch from"):
        way.fetch(f"{scheme}://{host}/")
    assert way.proxy.heads == []


def test_names_inside_may_be_fetched_where_private_networks_are_allowed(way: Way) -> None:
    way.allow_private_networks = True
    assert way.fetch("http://web.default.svc/") == way.world.server.picture


def test_a_redirect_of_the_proxy_is_checked_too(way: Way) -> None:
    way.proxy.answer = b"HTTP/1.1 302 Found\r\nLocation: http://10.0.0.1/\r\n\r\n"
    with pytest.raises(FetchError, match="The gateway does not fetch from"):
        way.fetch("http://elsewhere.example/")


def test_hosts_of_the_list_are_fetched_directly_and_checked(way: Way) -> None:
    way.direct = ("*.example",)
    assert way.fetch("http://pictures.example/") == way.world.server.picture
    assert (way.proxy.heads, way.world.connected) == ([], [PUBLIC])
    way.world.names["inside.example"] = ["10.0.0.1"]
    with pytest.raises(FetchError, match="an address that is not public"):
        way.fetch("http://inside.example/")


def test_renewed_certificates_take_effect_and_broken_ones_do_not(
    tls_listener: tuple[int, str], tmp_path: Path
) -> None:
    file = tmp_path / "mounted.crt"
    shutil.copy(tls_listener[1], file)
    trust = Trust(file)
    before = trust.context()
    assert trust.context() is before
    os.utime(file, (1, 1))
    renewed = trust.context()
    assert renewed is not before
    file.write_text("no certificate")
    assert trust.context() is renewed
    file.unlink()
    assert trust.context() is renewed


def test_a_file_without_certificates_is_named_when_the_gateway_starts(tmp_path: Path) -> None:
    file = tmp_path / "ca.crt"
    for text in (None, "no certificate"):
        if text is not None:
            file.write_text(text)
        with pytest.raises(SettingError, match=r"GATEWAY_URL_CA_FILE is .*ca\.crt, which contains no usable"):
            Fetcher.of_settings(Settings(url_ca_file=file))
