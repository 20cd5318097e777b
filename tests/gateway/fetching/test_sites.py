"""Fetches at the same time: one site leaves places for others, and one slow server delays no other."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetching_world import LOOPBACK, MAX_BYTES, PUBLIC, World
from gateway_testbed import eventually
from imageclassifier_gateway.fetching import body as body_module
from imageclassifier_gateway.fetching import place as place_module
from imageclassifier_gateway.fetching.allowed_addresses import Address
from imageclassifier_gateway.fetching.connecting import begin_connecting
from imageclassifier_gateway.fetching.fetcher import Fetcher
from imageclassifier_gateway.fetching.pinned_connection import _DeadlineSocket
from imageclassifier_gateway.fetching.sites import SitePlaces
from imageclassifier_gateway.fetching.urls import FetchError
from imageclassifier_gateway.limits.deadline import Deadline
from imageclassifier_gateway.problems import Problem


def test_one_site_never_takes_the_places_of_all_requests(world: World) -> None:
    fetcher = Fetcher(max_bytes=MAX_BYTES, max_requests=8)
    urls = [f"http://{n}.slow.example/" for n in range(8)]
    with ExitStack() as stack:
        refusals = [stack.enter_context(fetcher.place([url])).refusal(url) for url in urls[:6]]
        assert refusals[:4] == [None] * 4
        assert [error.cause for error in refusals[4:] if error] == ["overloaded"] * 2
        mixed = ["http://other.example/", "http://9.slow.example/", "http://not a url/"]
        place = stack.enter_context(fetcher.place(mixed))
        assert [place.refusal(url) is None for url in mixed] == [True, False, True]
    with fetcher.place(urls) as place:
        assert place.refusal(urls[0]) is None, "the places were released"


@given(st.lists(st.sets(st.sampled_from(["a.example", "b.example", "c.example"])), max_size=20))
def test_a_site_gets_at_most_as_many_places_as_it_leaves_free(requests: list[set[str]]) -> None:
    places, holders = SitePlaces(20), Counter[str]()
    taken = []
    for number, sites in enumerate(requests, 1):
        granted = places.take(sites)
        taken.append(granted)
        for site in sites:
            assert (site in granted) == (holders[site] <= 20 - number)
        holders.update(granted)
    for granted in taken:
        places.give_back(granted)
    assert places.take({"a.example"}) == {"a.example"}


def test_what_several_servers_send_is_worked_on_by_one_thread_at_a_time(world: World) -> None:
    working, most, started = 0, 0, threading.Barrier(4)

    def hold(_: int) -> None:
        nonlocal working, most
        working += 1
        most = max(most, working)
        time.sleep(0.001)  # lets other threads run
        working -= 1

    fetcher = Fetcher(max_bytes=2_000_000, lookup=world.lookup, begin=world.begin)

    def fetch(_: int) -> None:
        started.wait(60)
        with pytest.raises(FetchError, match="larger than"):
            fetcher.fetch("http://pictures.example/endless-chunks", Deadline.after(60), hold)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(fetch, range(4)))
    assert most == 1


def test_a_silent_server_keeps_no_other_fetch_waiting(world: World) -> None:
    opened: list[socket.socket] = []

    def begin(address: Address, port: int) -> socket.socket:
        opened.append(world.begin(address, port))
        return opened[-1].dup()

    fetcher = Fetcher(max_bytes=2_000_000, lookup=world.lookup, begin=begin)
    deadline = Deadline.after(60)
    with ThreadPoolExecutor(1) as pool:
        silent = pool.submit(fetcher.fetch, "http://pictures.example/silence", deadline)
        eventually(lambda: world.server.requests, "the silent server has its request")
        assert fetcher.fetch("http://pictures.example/picture", deadline) == world.server.picture
        assert not silent.done()
        opened[0].shutdown(socket.SHUT_RDWR)
        with pytest.raises(FetchError):
            silent.result(60)
    for each in opened:
        each.close()


def test_a_place_can_be_kept_for_a_while() -> None:
    now = [100.0]
    places = SitePlaces(4, lambda: now[0])
    for _ in range(2):
        places.give_back(places.take({"a.example"}), keep_seconds=2.0)
    now[0] += 1.9
    assert not places.would_grant("a.example")
    assert places.would_grant("b.example"), "other sites have places"
    now[0] += 0.2
    assert places.would_grant("a.example")
    assert places.take({"a.example"}) == {"a.example"}


def test_a_site_whose_fetches_are_wasted_keeps_the_place_and_others_do_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place_module, "_KEPT_FOR_CPU_SECOND", 1e9)
    world.names["vain.example"] = [PUBLIC]
    fetcher = Fetcher(max_bytes=MAX_BYTES, max_requests=2, lookup=world.lookup, begin=world.begin)
    deadline = Deadline.after(60)

    good = "http://pictures.example/picture"
    with fetcher.place([good]) as place:
        assert place.fetch(good, deadline, lambda _: None) == world.server.picture
    assert fetcher.refusal(good) is None

    failing = "http://vain.example/one-byte-chunks"
    with fetcher.place([failing]) as place, pytest.raises(FetchError):
        place.fetch(failing, deadline, lambda _: None)
    assert (refusal := fetcher.refusal(failing)) is not None
    assert refusal.cause == "overloaded"


def test_a_fetched_picture_that_is_then_refused_is_a_wasted_fetch(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place_module, "_KEPT_FOR_CPU_SECOND", 1e9)
    fetcher = Fetcher(max_bytes=MAX_BYTES, max_requests=2, lookup=world.lookup, begin=world.begin)
    url = "http://pictures.example/picture"

    def fetch_and_refuse() -> None:
        with fetcher.place([url]) as place:
            place.fetch(url, Deadline.after(60), lambda _: None)
            raise Problem("overloaded", "Too many large pictures are being worked on already.")

    with pytest.raises(Problem):
        fetch_and_refuse()
    assert fetcher.refusal(url) is not None


def test_a_server_that_sends_single_bytes_does_not_wake_the_gateway_for_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reads = Counter[str]()
    read = _DeadlineSocket.recv_into

    def counted(self: _DeadlineSocket, buffer: memoryview) -> int:
        reads["reads"] += 1
        return read(self, buffer)

    monkeypatch.setattr(_DeadlineSocket, "recv_into", counted)

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n")
            for _ in range(400):
                connection.sendall(b"x")
                time.sleep(0.001)

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        served = pool.submit(serve, listener)
        port = listener.getsockname()[1]
        fetcher = Fetcher(
            max_bytes=MAX_BYTES,
            lookup=lambda *_: [ipaddress.ip_address(PUBLIC)],
            begin=lambda *_: begin_connecting(LOOPBACK, port),
        )
        monkeypatch.setattr(body_module, "type_problem", lambda *_: None)
        assert fetcher.fetch("http://drips.example/", Deadline.after(60), lambda _: None) == b"x" * 400
        served.result(60)
    # 33 without a pause, then one in ten bytes or fewer.
    assert reads["reads"] < 150
