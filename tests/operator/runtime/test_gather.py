"""Concurrent requests."""

import asyncio

import pytest

from imageclassifier_operator.runtime.gather import gather_all


def test_an_error_is_raised_only_after_all_other_requests_have_ended() -> None:
    ended: list[str] = []

    async def slow() -> None:
        await asyncio.sleep(0.05)
        ended.append("slow")

    async def broken() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        asyncio.run(gather_all([broken(), slow()]))
    assert ended == ["slow"]


def test_results_come_in_order() -> None:
    async def give(value: int) -> int:
        await asyncio.sleep(0.01 * (3 - value))
        return value

    assert asyncio.run(gather_all(give(value) for value in (1, 2))) == [1, 2]
