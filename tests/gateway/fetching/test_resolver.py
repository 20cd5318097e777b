"""Lookups of names: the deadline, and the threads that slow names may take."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from waiting import wait_until

from fetching_world import MAX_BYTES, PUBLIC, World
from imageclassifier_gateway.fetching.allowed_addresses import Address
from imageclassifier_gateway.fetching.fetcher import Fetcher
from imageclassifier_gateway.fetching.urls import FetchError
from imageclassifier_gateway.limits.deadline import Deadline


def test_a_public_name_is_not_looked_up_in_the_clusters_search_domains(world: World) -> None:
    world.fetch("http://pictures.example/")
    # The request must not contain the name with the resolver's trailing dot.
    assert world.resolved == ["pictures.example."]
    assert b"\r\nHost: pictures.example\r\n" in world.server.requests[-1]
    # Where the cluster's own services may be asked, their short names need its domains.
    world.fetch("http://pictures.example/", allow_private_networks=True)
    world.names["pictures"] = [PUBLIC]
    world.fetch("http://pictures/")
    assert world.resolved[1:] == ["pictures.example", "pictures"]


def test_a_name_that_does_not_resolve_is_a_sentence(world: World) -> None:
    with pytest.raises(FetchError, match="was not found"):
        world.fetch("http://nowhere.example/")


def test_a_resolver_that_hangs_is_left_at_the_deadline(world: World) -> None:
    released = threading.Event()

    def lookup(host: str, port: int) -> list[Address]:
        released.wait(30)
        return []

    fetcher = Fetcher(max_bytes=MAX_BYTES, lookup=lookup, begin=world.begin)
    began = time.monotonic()
    with pytest.raises(FetchError, match="in time"):
        fetcher.fetch("http://pictures.example/", Deadline.after(0.3))
    assert time.monotonic() - began < 10
    released.set()


def test_slow_names_of_one_site_leave_threads_for_other_names(world: World) -> None:
    """Also after their callers have gone: getaddrinfo cannot be stopped."""
    released = threading.Event()

    def lookup(host: str, port: int) -> list[Address]:
        if host.endswith("slow.example."):
            released.wait(60)
        return world.lookup(host, port)

    fetcher = Fetcher(max_bytes=MAX_BYTES, max_requests=4, lookup=lookup, begin=world.begin)
    outcomes = set()
    for number in range(40):
        with pytest.raises(FetchError) as raised:
            fetcher.fetch(f"http://n{number}.slow.example/", Deadline.after(0.05))
        outcomes.add(raised.value.outcome)
    assert outcomes == {"timeout", "busy"}
    assert fetcher.fetch("http://pictures.example/", Deadline.after(60)) == world.server.picture
    released.set()


def test_lookups_of_the_same_name_share_one_thread(world: World) -> None:
    released = threading.Event()
    lookups: list[str] = []
    waiting: list[int] = []

    class Waiting(Deadline):
        def remaining_seconds(self) -> float:
            if not released.is_set():
                waiting.append(threading.get_ident())
            return super().remaining_seconds()

    def lookup(host: str, port: int) -> list[Address]:
        lookups.append(host)
        released.wait(60)
        return world.lookup(host, port)

    fetcher = Fetcher(max_bytes=MAX_BYTES, lookup=lookup, begin=world.begin)
    with ThreadPoolExecutor(8) as pool:
        fetched = [
            pool.submit(fetcher.fetch, "http://pictures.example/", Waiting.after(60)) for _ in range(8)
        ]
        wait_until(lambda: len(set(waiting)) == 8, "all of them wait for the lookup")
        released.set()
        assert {each.result() for each in fetched} == {world.server.picture}
    assert lookups == ["pictures.example."]
