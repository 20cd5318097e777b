"""Several requests at once, and done with all of them before it is said that one has failed."""

import asyncio
from collections.abc import Awaitable, Iterable
from typing import TypeVar

T = TypeVar("T")


async def all_done(awaitables: Iterable[Awaitable[T]]) -> list[T]:
    """The results, in order. Raises the first error, but not before each of the others has ended too.

    A pass that ended at the first error would be repeated while writes of it are still under way.
    """
    results = await asyncio.gather(*awaitables, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]
