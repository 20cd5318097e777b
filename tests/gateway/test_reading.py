"""Clients that are slow to send their requests: which of them are waited for."""

from __future__ import annotations

import socket

from gateway_testbed import eventually

from imageclassifier_gateway.reading import ReadingDeadlines
from imageclassifier_gateway.slow import SlowRequests


def test_of_too_many_slow_requests_the_last_ones_end_and_none_that_we_are_slow_to_read() -> None:
    readings = ReadingDeadlines(600, SlowRequests(limit=1))
    pairs = [socket.socketpair() for _ in range(3)]
    ours = [here for here, _ in pairs]
    pairs[1][1].sendall(b"what is not read yet")
    first, unread, last = (readings.begin(each) for each in ours)
    for reading in (first, unread, last):
        reading.head_read()
    eventually(lambda: last.expired, "the last one ends")
    assert ours[2].recv(1) == b""
    assert (first.expired, unread.expired) == (False, False)
    readings.end(ours[0])
    ours[1].recv(100)
    another = readings.begin(ours[0])
    another.head_read()
    eventually(lambda: another.expired, "the one that was read of keeps the place")
    assert not unread.expired
    for pair in pairs:
        for each in pair:
            each.close()


def test_a_request_that_was_read_is_never_slow() -> None:
    readings = ReadingDeadlines(600, SlowRequests(limit=1))
    (one, _one), (two, _two) = socket.socketpair(), socket.socketpair()
    readings.begin(one).finish()
    waiting = readings.begin(two)
    eventually(lambda: waiting.expired, "a head has a deadline of its own")
    assert not readings.of(one).expired  # type: ignore[union-attr]
