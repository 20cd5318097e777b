"""The stacks of all threads and of all tasks of an event loop, for the message of a failed test."""

import asyncio
import gc
import sys
import threading
import traceback
from types import FrameType
from typing import Any


def describe(loop: asyncio.AbstractEventLoop) -> str:
    """The stacks of all threads, and of all tasks of a loop that another thread runs."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    threads = [
        f"Thread {names.get(ident, ident)}:\n{''.join(traceback.format_stack(frame))}"
        for ident, frame in sys._current_frames().items()
    ]
    tasks = [
        f"Task {task.get_name()}, {task.cancelling()} times cancelled:\n{_stack_of(task.get_coro())}"
        for task in asyncio.all_tasks(loop)
    ]
    return "\n".join([*threads, *tasks])


def _stack_of(awaited: Any) -> str:
    """The stack of a suspended coroutine, down to what it waits for.

    `Task.get_stack` ends at the first of the coroutines that await each other.
    """
    lines: list[str] = []
    while awaited is not None:
        frame, following = _frame_and_awaited(awaited)
        if frame is None:
            return "".join([*lines, f"  waits for {awaited!r}\n"])
        lines += traceback.format_list(traceback.StackSummary.extract([(frame, frame.f_lineno)]))
        awaited = following
    return "".join(lines)


def _frame_and_awaited(awaited: Any) -> tuple[FrameType | None, Any]:
    for frame, following in (
        ("cr_frame", "cr_await"),
        ("gi_frame", "gi_yieldfrom"),
        ("ag_frame", "ag_await"),
    ):
        if hasattr(awaited, frame):
            return getattr(awaited, frame), getattr(awaited, following)
    # The next item of an asynchronous generator hides the generator.
    hidden = next((each for each in gc.get_referents(awaited) if hasattr(each, "ag_frame")), None)
    return (None, None) if hidden is None else (hidden.ag_frame, hidden.ag_await)
