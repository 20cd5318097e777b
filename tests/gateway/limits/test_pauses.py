"""A long piece of work pauses for others, in proportion to its length."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from imageclassifier_gateway.limits.pauses import Pauses


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses, in seconds."""
    seconds: list[float] = []
    monkeypatch.setattr(time, "sleep", seconds.append)
    return seconds


def clock(*readings: float) -> Callable[[], float]:
    """A clock with these readings in seconds; without any, each is 10 ms after the one before."""
    times = iter(readings or [number / 100 for number in range(1000)])
    return lambda: next(times)


def test_a_pause_is_twice_as_long_as_the_work_before_it(slept: list[float]) -> None:
    pause = Pauses(clock=clock())
    pause()
    pause()
    assert slept == pytest.approx([0.02, 0.02])


def test_each_thread_pauses_for_its_own_work(slept: list[float]) -> None:
    pause = Pauses(clock=clock())
    other = threading.Thread(target=pause)
    other.start()
    other.join()
    pause()
    assert slept == pytest.approx([0.02, 0.08])


def test_nothing_pauses_while_nobody_waits(slept: list[float]) -> None:
    Pauses(lambda: False, clock())()
    assert slept == []


def test_a_long_step_is_followed_by_one_period_at_most(slept: list[float]) -> None:
    Pauses(clock=clock(0.0, 3.0, 3.0))()
    assert slept == [0.1]


def test_the_time_between_two_pieces_of_work_does_not_count(slept: list[float]) -> None:
    pause = Pauses(clock=clock(0.0, 5.0, 5.01, 5.01))
    pause.begin()
    pause()
    assert slept == pytest.approx([0.02])
