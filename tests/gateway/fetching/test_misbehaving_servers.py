"""Servers that are slow, lie, or send too much: the fetch ends in time and within its memory."""

from __future__ import annotations

import time
import tracemalloc

import pytest

from fetching_world import MAX_BYTES, World
from imageclassifier_gateway.fetching.fetcher import Fetcher
from imageclassifier_gateway.fetching.urls import FetchError
from imageclassifier_gateway.limits.deadline import Deadline


@pytest.mark.parametrize(
    "attack",
    [
        "silence",
        "drip-status",
        "drip-headers",
        "drip-body",
        "drip-chunks",
        "drip-chunk-size",
        "drip-chunk-extension",
        "drip-trailers",
        "drip-redirect",
    ],
)
def test_a_server_that_takes_its_time_is_left_at_the_deadline(world: World, attack: str) -> None:
    began = time.monotonic()
    with pytest.raises(FetchError):
        world.fetch(f"http://pictures.example/{attack}", seconds=0.5)
    # Far below what any per-read timeout would allow, far above what a loaded machine needs.
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("attack", "cause"),
    [
        ("endless-body", "too-large"),
        ("endless-chunks", "too-large"),
        ("huge-length", "too-large"),
        ("negative-length", "too-large"),
        ("endless-continue", "url-not-fetched"),
        ("early-hints", "url-not-fetched"),
        ("chunk-extensions", "url-not-fetched"),
        ("one-byte-chunks", "url-not-fetched"),
        ("endless-trailers", "url-not-fetched"),
        ("endless-headers", "url-not-fetched"),
        ("endless-header-line", "url-not-fetched"),
        ("gzip-bomb", "too-large"),
        ("gzip-without-content", "url-not-fetched"),
        ("short-body", "url-not-fetched"),
        ("broken-chunks", "url-not-fetched"),
        ("html", "url-not-fetched"),
        ("json", "url-not-fetched"),
        ("not-found", "url-not-fetched"),
        ("unauthorized", "url-not-fetched"),
        ("empty", "url-not-fetched"),
        ("not-http", "url-not-fetched"),
        ("redis", "url-not-fetched"),
        ("redirect-to-nowhere", "url-not-fetched"),
        ("redirect-loop", "url-not-fetched"),
    ],
)
def test_a_misbehaving_server_gives_an_error_without_its_response_text(
    world: World, attack: str, cause: str
) -> None:
    with pytest.raises(FetchError) as raised:
        world.fetch(f"http://pictures.example/{attack}", seconds=60)
    assert raised.value.cause == cause
    assert raised.value.outcome != "timeout", (
        "a server that sends without end is left long before the deadline"
    )
    assert "secret" not in str(raised.value)


def test_a_body_in_chunks_of_one_byte_is_refused_after_250_of_them(world: World) -> None:
    held: list[int] = []
    fetcher = Fetcher(max_bytes=2_000_000, lookup=world.lookup, begin=world.begin)
    with pytest.raises(FetchError):
        fetcher.fetch("http://pictures.example/one-byte-chunks", Deadline.after(60), held.append)
    assert sum(held) < 300


def test_a_fetch_holds_no_more_memory_than_it_counts(world: World) -> None:
    held = 0

    def hold(count: int) -> None:
        nonlocal held
        held += count

    limit = 20_000_000
    fetcher = Fetcher(max_bytes=limit, lookup=world.lookup, begin=world.begin)
    tracemalloc.start()
    try:
        with pytest.raises(FetchError, match="larger than"):
            fetcher.fetch("http://pictures.example/endless-body", Deadline.after(60), hold)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # An eighth is what a growing buffer has in reserve.
    assert peak < held * 9 / 8 + 2_000_000
    assert held <= limit


def test_memory_that_is_not_granted_ends_the_fetch(world: World) -> None:
    class FullError(Exception):
        pass

    def hold(count: int) -> None:
        raise FullError

    fetcher = Fetcher(max_bytes=MAX_BYTES, lookup=world.lookup, begin=world.begin)
    with pytest.raises(FullError):
        fetcher.fetch("http://pictures.example/", Deadline.after(60), hold)
