"""The live view: shows something again after each change, until the user interrupts it."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Sequence

from rich.console import Console, RenderableType
from rich.live import Live

from ..errors import ClientError
from .console import results

_AGES_SECONDS = 5.0
"""Ages in the view are renewed at least this often."""
_CALM_SECONDS = 0.2
"""Changes within this time are shown together."""
_RETRY_SECONDS = 2.0
_AGE = re.compile(r"\b\d+[smhd]\b")

Render = Callable[[], RenderableType]
Watch = Callable[[], Iterable[None]]


def show(render: Render, watches: Sequence[Watch], stop: threading.Event | None = None) -> None:
    """Show what `render` returns, and again when one of the `watches` yields, until `stop` is set.

    On a terminal the view stays in its place. Elsewhere each new text follows the one before.
    """
    changed, stop = threading.Event(), stop or threading.Event()
    shown = render()  # its errors, such as a wrong name, end the command
    for watch in watches:
        threading.Thread(target=_follow, args=(watch, changed, stop), daemon=True).start()
    terminal = results()
    if terminal.is_terminal:
        with Live(shown, console=terminal, auto_refresh=False) as view:
            while not stop.is_set():
                _wait(changed, stop)
                view.update(_rendered(render), refresh=True)
        return
    last = ""
    while not stop.is_set():
        text = _text(terminal, shown)
        if _AGE.sub("", text) != _AGE.sub("", last):
            terminal.out(text)
        last = text
        _wait(changed, stop)
        shown = _rendered(render)


def _wait(changed: threading.Event, stop: threading.Event) -> None:
    if changed.wait(_AGES_SECONDS):
        stop.wait(_CALM_SECONDS)
    changed.clear()


def _rendered(render: Render) -> RenderableType:
    try:
        return render()
    except ClientError as error:  # the API server may be restarting: the view stays
        return str(error)


def _follow(watch: Watch, changed: threading.Event, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            for _ in watch():
                changed.set()
        except ClientError:
            stop.wait(_RETRY_SECONDS)
        changed.set()
        stop.wait(_CALM_SECONDS)


def _text(terminal: Console, shown: RenderableType) -> str:
    with terminal.capture() as capture:
        terminal.print(shown)
    return capture.get()
