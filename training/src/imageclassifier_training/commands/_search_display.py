"""Shows a running search: one progress bar for the current step, and a line for each trial that ended."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


class SearchDisplay:
    """What a search prints to a console; use it in a `with` block."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task("Search", total=None)

    def __enter__(self) -> SearchDisplay:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def progress(self, step: str, done: int, total: int) -> None:
        """Show how far the current step is."""
        self._bar.update(self._task, description=step, completed=done, total=total)

    def told(self, line: str) -> None:
        """Print a line about a trial."""
        self._console.print(line, markup=False)
