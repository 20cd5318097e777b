"""A program on a terminal of its own, as a user has it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence

_SECONDS = 60


def _take_terminal() -> None:
    """Make standard input the controlling terminal of the program: shells have no job control without one.

    A test run in the background may ignore Ctrl-C, and its children would inherit that.
    """
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Terminal:
    """Runs a program in a `with` block, whose end kills it."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._command, self._environment = command, environment
        self._output = ""

    def __enter__(self) -> Terminal:
        self._fd, inside = pty.openpty()
        self.process = subprocess.Popen(
            self._command,
            env=dict(self._environment),
            stdin=inside,
            stdout=inside,
            stderr=inside,
            start_new_session=True,
            preexec_fn=_take_terminal,
        )
        os.close(inside)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._fd)

    def type(self, text: str) -> None:
        """Type this text; a carriage return is the return key. What was shown before is forgotten."""
        self._output = ""
        os.write(self._fd, text.encode())

    def wait_for(self, text: str) -> str:
        """Wait until this text is shown, and return everything so far. Fails if it never is."""
        end = time.monotonic() + _SECONDS
        while text not in self._output:
            if time.monotonic() > end or (self.process.poll() is not None and not self._read()):
                raise AssertionError(f"{text!r} is not shown, only {self._output!r}")
            self._read()
        return self._output

    def _read(self) -> bool:
        """Whether there was something to read."""
        if not select.select([self._fd], [], [], 0.1)[0]:
            return False
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # the program has ended
            return False
        self._output += data.decode(errors="replace")
        return bool(data)
