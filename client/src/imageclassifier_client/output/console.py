"""The terminals: results go to stdout, notes and errors to stderr."""

from __future__ import annotations

from rich.console import Console

_PLAIN_WIDTH = 80


def results(*, width: int | None = None) -> Console:
    """The console of the results. Without a terminal, lines have 80 columns and no colour."""
    console = Console(highlight=False, width=width)
    if width is None and not console.is_terminal:
        console = Console(highlight=False, width=_PLAIN_WIDTH)
    return console


def errors() -> Console:
    """The console of notes and errors, which stay on one line."""
    return Console(stderr=True, highlight=False, soft_wrap=True)
