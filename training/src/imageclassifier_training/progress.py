"""Reports the progress of each step: progress bars on a terminal, one line per finished step elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars

Progress = Callable[[str, int, int], None]
"""Called with the name of a step, the units of it that are done, and their total.

The first call of a step is made before its first unit. Units that an earlier run did are done then.
"""


def no_progress(step: str, done: int, total: int) -> None:
    """Report nothing."""


class ProgressDisplay:
    """A `Progress` that prints to a console; use it in a `with` block."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}
        self._started: dict[str, float] = {}
        self._earlier: dict[str, int] = {}

    def __enter__(self) -> ProgressDisplay:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def __call__(self, step: str, done: int, total: int) -> None:
        """Update the bar of the step, or print its line when it is finished."""
        is_first = step not in self._started
        if is_first:
            self._started[step], self._earlier[step] = time.perf_counter(), done
        if self._console.is_terminal:
            if step not in self._tasks:
                self._tasks[step] = self._bars.add_task(step, total=total)
            self._bars.update(self._tasks[step], completed=done, total=total)
        elif done == total and not is_first:
            # A step of the same name may follow, as in each fit of a cross-validation.
            seconds = time.perf_counter() - self._started.pop(step)
            earlier = self._earlier.pop(step)
            here = f", {total - earlier:,} of them" if earlier else ""
            self._console.print(
                f"{step}: {total:,} of {total:,} done{here} in {seconds:.1f} s", highlight=False
            )
