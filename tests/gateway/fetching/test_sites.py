"""Fetches at the same time: one site leaves places for others, and one slow server delays no other."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetching_world import MAX_BYTES, World
from gateway_testbed import eventually
from imageclassifier_gateway.fetching.addresses import Address
from imageclassifier_gateway.fetching.fetcher import Fetcher
from imageclassifier_gateway.fetching.sites import SitePlaces
from imageclassifier_gateway.fetching.urls import FetchError
from imageclassifier_gateway.limits.deadline import Deadline


def test_one_site_never_takes_the_places_of_all_requests(world: World) -> None:
    fetcher = Fetcher(max_bytes=MAX_BYTES, max_requests=8)
    urls = [f"http://{n}.slow.example/" for n in range(8)]
    with ExitStack() as stack:
        refusals = [stack.enter_context(fetcher.place([url]))(url) for url in urls[:6]]
        assert refusals[:4] == [None] * 4
        assert [error.cause for error in refusals[4:] if error] == ["overloaded"] * 2
        mixed = ["http://other.example/", "http://9.slow.example/", "http://not a url/"]
        refusal = stack.enter_context(fetcher.place(mixed))
        assert [refusal(url) is None for url in mixed] == [True, False, True]
    with fetcher.place(urls) as refusal:
        assert refusal(urls[0]) is None, "the places were released"


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
