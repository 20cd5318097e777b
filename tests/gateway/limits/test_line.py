"""Calls of a model server wait in a line: they go out in the order of their arrival."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from gateway_testbed import eventually
from imageclassifier_gateway.limits.line import Line

LONG = 60.0


class Calls:
    """Calls in threads. Each stays out until the test lets it return."""

    def __init__(self, line: Line, pool: ThreadPoolExecutor) -> None:
        self._line, self._pool = line, pool
        #: The numbers of the calls that went out, in this order.
        self.out: list[int] = []
        self._told: dict[int, threading.Event] = {}
        self._done: dict[int, Future[None]] = {}

    def start(self, number: int, patience_seconds: float = LONG) -> None:
        """Start a call, and wait until it is out or in the line."""
        waiting, out = self._line.waiting, len(self.out)
        self._told[number] = threading.Event()
        self._done[number] = self._pool.submit(self._call, number, patience_seconds)
        eventually(lambda: (self._line.waiting, len(self.out)) != (waiting, out), "the call has come")

    def end(self, number: int) -> None:
        """Let a call return."""
        self._told[number].set()
        self._done[number].result(LONG)

    def end_all(self) -> None:
        """Let all calls return, also those that still wait."""
        for told in self._told.values():
            told.set()

    def _call(self, number: int, patience_seconds: float) -> None:
        with self._line.turn(patience_seconds):
            self.out.append(number)
            assert self._told[number].wait(LONG)


@pytest.fixture
def line() -> Line:
    return Line(2)


@pytest.fixture
def calls(line: Line) -> Iterator[Calls]:
    with ExitStack() as stack:
        made = Calls(line, stack.enter_context(ThreadPoolExecutor(16)))
        stack.callback(made.end_all)
        yield made


def test_the_calls_beyond_the_limit_go_out_in_the_order_of_their_arrival(line: Line, calls: Calls) -> None:
    for number in range(6):
        calls.start(number)
    assert (sorted(calls.out), line.waiting) == ([0, 1], 4)
    for number in (1, 0, 2, 3):
        calls.end(number)
        eventually(
            lambda number=number: len(calls.out) == 3 + (1, 0, 2, 3).index(number), "the next call is out"
        )  # type: ignore[misc]
    assert calls.out[2:] == [2, 3, 4, 5]


def test_a_call_waits_no_longer_than_its_patience(line: Line, calls: Calls) -> None:
    calls.start(0)
    calls.start(1)
    calls.start(2, patience_seconds=0.0)
    eventually(lambda: 2 in calls.out, "the impatient call is out")
    calls.start(3)
    assert line.waiting == 1
    calls.end(0)  # two are still out
    assert line.waiting == 1
    calls.end(2)
    eventually(lambda: 3 in calls.out, "the patient call is out")


def test_a_higher_limit_lets_calls_out_at_once(line: Line, calls: Calls) -> None:
    for number in range(5):
        calls.start(number)
    line.set_limit(4)
    eventually(lambda: len(calls.out) == 4, "two more calls are out")
    assert line.waiting == 1


def test_a_call_that_fails_gives_its_turn_to_the_next(line: Line) -> None:
    for _ in range(3):  # more than the limit
        with pytest.raises(ValueError, match="the model"), line.turn(LONG):
            raise ValueError("the model")
    with line.turn(LONG), line.turn(LONG):
        assert line.waiting == 0
