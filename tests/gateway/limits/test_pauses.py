"""A long piece of work pauses for others, in proportion to its CPU time."""

from __future__ import annotations

import threading
import time

import pytest

from imageclassifier_gateway.limits.lane import Lane
from imageclassifier_gateway.limits.pauses import Pauses


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses, in seconds. The CPU time of the thread is 10 ms more at each look."""
    seconds: list[float] = []
    cpu = iter(number / 100 for number in range(1000))
    monkeypatch.setattr(time, "sleep", seconds.append)
    monkeypatch.setattr(time, "thread_time", lambda: next(cpu))
    return seconds


def test_a_pause_is_twice_as_long_as_the_work_before_it(slept: list[float]) -> None:
    pause = Pauses()
    pause()
    pause()
    assert slept == pytest.approx([0.02, 0.02])


def test_each_thread_pauses_for_its_own_work(slept: list[float]) -> None:
    pause = Pauses()
    other = threading.Thread(target=pause)
    other.start()
    other.join()
    pause()
    assert slept == pytest.approx([0.02, 0.05])


def test_nothing_pauses_while_nobody_waits(slept: list[float]) -> None:
    Pauses(lambda: False)()
    assert slept == []


def test_a_long_step_is_followed_by_half_a_period_at_most(
    slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu = iter([0.0, 3.0, 3.0])
    monkeypatch.setattr(time, "thread_time", lambda: next(cpu))
    Pauses()()
    assert slept == [0.05]


def test_a_lane_knows_when_its_last_job_was_queued() -> None:
    lane = Lane("test", 1)
    try:
        assert lane.seconds_since_last_job == float("inf")
        lane.submit(lambda: None, 0.0).result(60)
        assert lane.seconds_since_last_job < 60
    finally:
        lane.close()
