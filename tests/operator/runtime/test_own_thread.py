"""Work in a thread of its own."""

import asyncio
import threading

import pytest

from imageclassifier_operator.runtime.own_thread import run_in_own_thread


def test_the_work_goes_on_while_the_event_loop_of_its_caller_is_blocked() -> None:
    done = threading.Event()

    async def work() -> None:
        await asyncio.sleep(0.01)
        done.set()

    async def block() -> bool:
        working = asyncio.create_task(run_in_own_thread(work))
        await asyncio.sleep(0)
        blocked = done.wait(60)
        await working
        return blocked

    assert asyncio.run(block())


def test_an_error_of_the_work_is_raised() -> None:
    async def work() -> None:
        raise ValueError("the work failed")

    with pytest.raises(ValueError, match="the work failed"):
        asyncio.run(run_in_own_thread(work))


@pytest.mark.parametrize("cancellations", [1, 2])
def test_a_cancellation_cancels_the_work_and_waits_for_its_end(cancellations: int) -> None:
    started, ended = threading.Event(), threading.Event()

    async def work() -> None:
        started.set()
        try:
            await asyncio.sleep(600)
        finally:
            await asyncio.sleep(0.1)  # an end that takes time
            ended.set()

    async def cancel() -> bool:
        working = asyncio.create_task(run_in_own_thread(work))
        await asyncio.to_thread(started.wait, 60)
        for _ in range(cancellations):
            working.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await working
        return ended.is_set()

    assert asyncio.run(cancel())


def test_a_cancellation_before_the_work_has_started_ends_it() -> None:
    async def work() -> None:
        await asyncio.sleep(600)

    async def cancel() -> None:
        working = asyncio.create_task(run_in_own_thread(work))
        await asyncio.sleep(0)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working

    asyncio.run(cancel())
