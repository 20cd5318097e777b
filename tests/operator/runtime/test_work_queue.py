"""The work queue: no key is processed twice at once, and a key that fails is retried."""

import asyncio
import time

from imageclassifier_operator.runtime.work_queue import (
    Key,
    RetryAfterError,
    RetrySoonError,
    Urgency,
    WorkQueue,
)

KEY = Key("default", "pizza")


def work(queue: WorkQueue, handle, is_done, workers: int = 2) -> None:
    """Runs until `is_done()` and a moment longer, so that unexpected extra work shows."""

    async def main() -> None:
        running = [asyncio.create_task(queue.work(handle, lambda _: None)) for _ in range(workers)]
        async with asyncio.timeout(60):
            while not is_done() and not (await asyncio.wait(running, timeout=0.005))[0]:
                pass
        await asyncio.wait(running, timeout=0.1)
        for task in running:
            task.cancel()
        for result in await asyncio.gather(*running, return_exceptions=True):
            if isinstance(result, Exception):
                raise result

    asyncio.run(main())


def test_a_key_is_never_worked_on_twice_at_once_and_repeats_collapse():
    queue, running, most, runs = WorkQueue(), 0, 0, 0

    async def handle(key: Key) -> None:
        nonlocal running, most, runs
        running, runs = running + 1, runs + 1
        most = max(most, running)
        if runs == 1:
            for _ in range(5):
                queue.add(key)  # while it is processed: processed once more, not five times
        await asyncio.sleep(0.01)
        running -= 1

    for _ in range(5):
        queue.add(KEY)
    work(queue, handle, lambda: runs >= 2)
    assert (most, runs) == (1, 2)


def test_a_key_that_failed_is_retried(monkeypatch):
    monkeypatch.setattr("imageclassifier_operator.runtime.work_queue.FIRST_BACKOFF_SECONDS", 0.01)
    queue, runs = WorkQueue(), 0

    async def handle(key: Key) -> None:
        nonlocal runs
        runs += 1
        if runs < 3:
            raise RuntimeError

    queue.add(KEY)
    work(queue, handle, lambda: runs >= 3)
    assert runs == 3


def test_the_back_off_of_a_key_never_exceeds_the_requested_limit(monkeypatch):
    monkeypatch.setattr("imageclassifier_operator.runtime.work_queue.FIRST_BACKOFF_SECONDS", 600.0)
    queue, runs = WorkQueue(), 0

    async def handle(key: Key) -> None:
        nonlocal runs
        runs += 1
        if runs < 3:
            raise RetrySoonError("the API server is busy", 0.01)

    queue.add(KEY)
    work(queue, handle, lambda: runs >= 3)
    assert runs == 3


def test_a_key_that_has_failed_for_days_is_still_retried():
    queue, runs = WorkQueue(), 0
    queue._failures[KEY] = 5_000

    async def handle(key: Key) -> None:
        nonlocal runs
        runs += 1
        raise RetrySoonError("the API server is busy", 0.01)

    queue.add(KEY)
    work(queue, handle, lambda: runs >= 2)
    assert runs >= 2


def test_a_key_can_be_added_again_with_a_delay():
    queue, runs = WorkQueue(), 0

    async def handle(key: Key) -> float | None:
        nonlocal runs
        runs += 1
        return 0.01 if runs < 4 else None

    queue.add(KEY)
    work(queue, handle, lambda: runs >= 4)
    assert runs == 4


def in_order_of_work(queue: WorkQueue, count: int) -> list[str]:
    """The names of the next keys, as one worker takes them."""
    taken: list[str] = []

    async def handle(key: Key) -> None:
        taken.append(key.name)

    work(queue, handle, lambda: len(taken) >= count, workers=1)
    return taken


def test_urgent_keys_go_first_and_no_other_key_waits_for_ever():
    queue = WorkQueue()
    queue.prefer(lambda key: Urgency.ANALYSIS if key.name.startswith("urgent") else Urgency.AT_REST)
    for number in range(3):
        queue.add(Key("default", f"other{number}"))
    for number in range(6):
        queue.add(Key("default", f"urgent{number}"))
    assert in_order_of_work(queue, 9) == [
        "urgent0", "urgent1", "urgent2", "urgent3", "other0", "urgent4", "urgent5", "other1", "other2",
    ]  # fmt: skip


def test_each_urgency_leaves_one_turn_in_five_to_those_below_it():
    queue, names = WorkQueue(), {"a": Urgency.ANALYSIS, "c": Urgency.CHANGED, "r": Urgency.AT_REST}
    queue.prefer(lambda key: names[key.name[0]])
    for number in range(30):
        for name in "rca":
            queue.add(Key("default", f"{name}{number}"))
    order = "".join(name[0] for name in in_order_of_work(queue, 25)[:25])
    assert order == "aaaac" * 4 + "aaaar"


def test_a_new_leader_finds_the_urgent_key_behind_a_thousand_others():
    queue = WorkQueue()
    for number in range(1000):
        queue.add(Key("default", f"other{number}"))
    queue.add(Key("default", "urgent"))
    queue.prefer(lambda key: Urgency.CHANGED if key.name == "urgent" else Urgency.AT_REST)
    assert len(queue) == 1001
    assert in_order_of_work(queue, 1001)[:2] == ["urgent", "other0"]


def test_a_key_that_becomes_urgent_while_it_waits_is_processed_once_and_first():
    queue, urgent = WorkQueue(), set()
    queue.prefer(lambda key: Urgency.CHANGED if key in urgent else Urgency.AT_REST)
    for name in ("first", "second"):
        queue.add(Key("default", name))
    urgent.add(Key("default", "second"))
    queue.add(Key("default", "second"))
    urgent.clear()
    queue.add(Key("default", "second"))
    assert in_order_of_work(queue, 2) == ["second", "first"]


def test_a_key_is_not_retried_before_the_time_that_the_api_server_asks_for(monkeypatch):
    monkeypatch.setattr("imageclassifier_operator.runtime.work_queue.FIRST_BACKOFF_SECONDS", 0.001)
    queue, times = WorkQueue(), []

    async def handle(key: Key) -> None:
        times.append(time.monotonic())
        if len(times) == 1:
            raise RetryAfterError("too many requests", 0.3)

    queue.add(KEY)
    work(queue, handle, lambda: len(times) >= 2)
    assert times[1] - times[0] >= 0.29
