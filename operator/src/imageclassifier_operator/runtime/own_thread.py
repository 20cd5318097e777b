"""An event loop in a thread of its own, for work that must not wait for the turns of all other work."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any


async def run_in_own_thread(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run `main` in its own thread and event loop, and raise what it raises.

    A cancellation cancels `main` and waits for its end.
    """
    own = asyncio.new_event_loop()
    task = own.create_task(main())

    def run() -> None:
        try:
            own.run_until_complete(task)
        finally:
            own.run_until_complete(own.shutdown_asyncgens())
            own.close()

    with ThreadPoolExecutor(1, "own-loop") as executor:
        running = asyncio.get_running_loop().run_in_executor(executor, run)
        try:
            await asyncio.shield(running)
        except asyncio.CancelledError:
            with contextlib.suppress(RuntimeError):  # the loop has just closed
                own.call_soon_threadsafe(task.cancel)
            while not running.done():
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait({running})
            raise
