"""Connections: the addresses of a name are tried in turn, within the deadline, and TLS is verified."""

from __future__ import annotations

import contextlib
import ipaddress
import select
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fetching_world import LOOPBACK, MAX_BYTES, PUBLIC, PUBLIC_IPV6, World
from imageclassifier_gateway.fetching.allowed_addresses import Address
from imageclassifier_gateway.fetching.connecting import begin_connecting, interleaved
from imageclassifier_gateway.fetching.fetcher import Fetcher
from imageclassifier_gateway.fetching.routes import Rules
from imageclassifier_gateway.fetching.trust import Trust
from imageclassifier_gateway.fetching.urls import FetchError
from imageclassifier_gateway.limits.deadline import Deadline


def test_the_next_address_is_tried_when_one_does_not_connect(world: World) -> None:
    world.names["pictures.example"] = [PUBLIC_IPV6, PUBLIC]

    def begin(address: Address, port: int) -> socket.socket:
        if address.version == 6:
            raise ConnectionRefusedError
        return world.begin(address, port)

    fetcher = Fetcher(max_bytes=MAX_BYTES, lookup=world.lookup, begin=begin)
    assert fetcher.fetch("http://pictures.example/", Deadline.after(60)) == world.server.picture


@pytest.fixture
def dead_port() -> Iterator[int]:
    """A port that neither accepts nor refuses connections, like a machine that is switched off."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=0)
    port = int(listener.getsockname()[1])
    fillers = [begin_connecting(LOOPBACK, port) for _ in range(4)]
    # One connection fills the queue of the listener.
    assert select.select([], fillers, [], 60)[1]
    yield port
    for each in (*fillers, listener):
        each.close()


@pytest.mark.parametrize("dead", [[PUBLIC_IPV6], [PUBLIC_IPV6, "1.1.1.1", "1.0.0.1", "8.8.8.8", "8.8.4.4"]])
def test_addresses_that_do_not_answer_leave_time_for_the_one_that_does(
    world: World, dead_port: int, dead: list[str]
) -> None:
    world.names["pictures.example"] = [*dead, PUBLIC]
    opened = []

    def begin(address: Address, port: int) -> socket.socket:
        opened.append(
            world.begin(address, port) if str(address) == PUBLIC else begin_connecting(LOOPBACK, dead_port)
        )
        return opened[-1]

    fetcher = Fetcher(max_bytes=MAX_BYTES, lookup=world.lookup, begin=begin)
    assert fetcher.fetch("http://pictures.example/", Deadline.after(60)) == world.server.picture
    assert all(each.fileno() == -1 for each in opened), "an attempt was left open"


def test_the_deadline_ends_the_fetch_when_no_address_responds(world: World, dead_port: int) -> None:
    world.names["pictures.example"] = [PUBLIC_IPV6, PUBLIC]
    opened = []

    def begin(address: Address, port: int) -> socket.socket:
        opened.append(begin_connecting(LOOPBACK, dead_port))
        return opened[-1]

    fetcher = Fetcher(max_bytes=MAX_BYTES, lookup=world.lookup, begin=begin)
    with pytest.raises(FetchError, match="in time"):
        fetcher.fetch("http://pictures.example/", Deadline.after(3))
    assert len(opened) == 2, "the second address is tried beside the first"
    assert all(each.fileno() == -1 for each in opened)


def test_the_families_of_addresses_take_turns() -> None:
    texts = ["2606::1", "2606::2", "2606::3", "1.1.1.1", "1.1.1.2"]
    found = [str(each) for each in interleaved([ipaddress.ip_address(text) for text in texts])]
    assert found == ["2606::1", "1.1.1.1", "2606::2", "1.1.1.2", "2606::3"]


def test_a_name_with_hundreds_of_addresses_makes_only_a_few_connections(world: World) -> None:
    world.names["pictures.example"] = [f"93.184.{n // 256}.{n % 256}" for n in range(500)]
    attempts = []

    def begin(address: Address, port: int) -> socket.socket:
        attempts.append(address)
        raise ConnectionRefusedError

    fetcher = Fetcher(max_bytes=MAX_BYTES, lookup=world.lookup, begin=begin)
    with pytest.raises(FetchError, match="could not be reached"):
        fetcher.fetch("http://pictures.example/", Deadline.after(60))
    assert len(attempts) == 16


def test_a_tls_handshake_that_drips_is_left_at_the_deadline(world: World) -> None:
    """A record of 16 KB, one byte after the other: each read succeeds."""
    listener = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        with contextlib.suppress(OSError), listener.accept()[0] as connection:
            connection.sendall(b"\x16\x03\x03\x40\x00")
            while True:
                connection.sendall(b"\x02")
                time.sleep(0.02)

    threading.Thread(target=drip, daemon=True).start()

    def begin(address: Address, port: int) -> socket.socket:
        return begin_connecting(LOOPBACK, int(listener.getsockname()[1]))

    fetcher = Fetcher(max_bytes=MAX_BYTES, lookup=world.lookup, begin=begin)
    began = time.monotonic()
    with pytest.raises(FetchError):
        fetcher.fetch("https://pictures.example/", Deadline.after(0.5))
    assert time.monotonic() - began < 10
    listener.close()


def test_https_to_a_server_without_tls_fails(world: World) -> None:
    with pytest.raises(FetchError, match="The TLS connection to"):
        world.fetch("https://pictures.example/not-http")


def test_the_certificate_must_be_valid_for_the_name(world: World, tls_listener: tuple[int, str]) -> None:
    port, authority = tls_listener

    def begin(address: Address, _: int) -> socket.socket:
        return begin_connecting(LOOPBACK, port)

    def fetch(host: str, trusted: bool) -> bytes:
        rules = Rules(trust=Trust(Path(authority) if trusted else None))
        fetcher = Fetcher(max_bytes=MAX_BYTES, rules=rules, lookup=world.lookup, begin=begin)
        return fetcher.fetch(f"https://{host}/", Deadline.after(60))

    world.names["other.example"] = [PUBLIC]
    assert fetch("pictures.example", trusted=True) == world.server.picture
    with pytest.raises(FetchError, match="The TLS connection to"):
        fetch("pictures.example", trusted=False)
    with pytest.raises(FetchError, match="The TLS connection to"):
        fetch("other.example", trusted=True)
