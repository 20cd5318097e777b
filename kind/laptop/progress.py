"""Steps: each prints what it does and how long it took and, if it fails, what to do.

On a terminal, the line of a running step shows a clock and the last line of its log. Elsewhere, a step prints
one line at its start and one at its end. The output of its programs goes to a log file per step.
"""

import itertools
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from laptop import places


class StepFailed(Exception):  # noqa: N818 - names an event
    """A step failed; the message tells the user what is wrong and what to do."""


@dataclass
class Step:
    """A running step. It runs programs and writes their output to its log."""

    title: str
    log: Path
    skipped: str = ""
    _commands: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        """Write a line to the log of the step. A terminal shows it beside the clock."""
        with self.log.open("a", encoding="utf-8") as log:
            log.write(text + "\n")

    def found(self, what: str) -> None:
        """Set the result that the last line of the step shows, in place of `done`."""
        self.skipped = what

    def run(
        self,
        command: Sequence[str | Path],
        *,
        advice: str,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
        stdin: IO[bytes] | None = None,
        timeout_seconds: float | None = None,
    ) -> None:
        """Run a program. Raises StepFailed with `advice` if it fails or takes too long."""
        with self.log.open("ab") as log:
            log.write(f"$ {' '.join(map(str, command))}\n".encode())
            log.flush()
            try:
                result = subprocess.run(
                    [str(part) for part in command],
                    stdin=stdin or subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **(environment or {})},
                    cwd=directory,
                    timeout=timeout_seconds,
                    check=False,
                )
            except FileNotFoundError:
                raise StepFailed(f"The program {command[0]} was not found. {advice}") from None
            except subprocess.TimeoutExpired:
                raise StepFailed(f"{command[0]} took longer than {timeout_seconds:.0f} s. {advice}") from None
        if result.returncode != 0:
            raise StepFailed(f"{Path(command[0]).name} ended with code {result.returncode}. {advice}")


def output(command: Sequence[str | Path], timeout_seconds: float = 60, **environment: str) -> str | None:
    """The output of a short command; None if it is missing, fails or takes too long."""
    try:
        result = subprocess.run(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            env={**os.environ, **environment},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() if result.returncode == 0 else None


def duration_text(seconds: float) -> str:
    """`3.2 s`, `75 s`, `12 min 5 s`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60} s"


def _last_line(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 2000))
        lines = file.read().decode("utf-8", "replace").splitlines()
    text = next((line for line in reversed(lines) if line.strip()), "")
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x1f]", "", text.rsplit("\r", 1)[-1])


def _tail(log: Path, lines: int = 30) -> str:
    text = log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
    return "\n".join(f"    {line}" for line in text)


class _LiveLine:
    """The line on a terminal that shows a running step."""

    def __init__(self, step: Step, began: float) -> None:
        self._step, self._began, self._stop = step, began, threading.Event()
        self._thread = threading.Thread(target=self._draw, daemon=True)

    def _draw(self) -> None:
        for spoke in itertools.cycle("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"):
            elapsed = duration_text(int(time.monotonic() - self._began))
            head = f"{spoke} {self._step.title}  {elapsed}  "
            room = shutil.get_terminal_size().columns - len(head) - 1
            sys.stderr.write(f"\r\x1b[2K{head}\x1b[2m{_last_line(self._step.log)[: max(0, room)]}\x1b[0m")
            sys.stderr.flush()
            if self._stop.wait(0.2):
                break
        sys.stderr.write("\r\x1b[2K")

    def __enter__(self) -> None:
        if sys.stderr.isatty():
            self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()


@contextmanager
def step(title: str, note: str = "") -> Iterator[Step]:
    """Print and time a step. On StepFailed, print its message and the path of the log, and exit."""
    places.log_directory().mkdir(parents=True, exist_ok=True)
    log = places.log_directory() / (re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") + ".log")
    log.write_text("", encoding="utf-8")
    current, began = Step(title, log), time.monotonic()
    if not sys.stderr.isatty():
        print(f"… {title}{f' ({note})' if note else ''}", file=sys.stderr, flush=True)
    try:
        with _LiveLine(current, began):
            yield current
    except StepFailed as failure:
        took = duration_text(time.monotonic() - began)
        if not sys.stderr.isatty():  # CI shows only this output, so it gets the end of the log
            print(_tail(log), file=sys.stderr)
        print(f"✗ {title} failed after {took}: {failure} Log: {log}", file=sys.stderr, flush=True)
        raise SystemExit(1) from None
    took = duration_text(time.monotonic() - began)
    print(f"✓ {title}: {current.skipped or 'done'}, {took}", file=sys.stderr, flush=True)
