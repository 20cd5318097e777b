"""The parent of a control plane's processes: it outlives pytest just long enough to clean up after it.

Run as `python -I supervisor.py DIRECTORY`. It reads one JSON request a line from standard input and answers
each with one JSON line:

    {"start": NAME, "argv": [...], "executable": PATH}  -> {"pid": 1234}   output goes to DIRECTORY/NAME.log
    {"kill": NAME}                                      -> {}              SIGKILL; returns when it is gone
    {"poll": NAME}                                      -> {"running": true, "exit_code": null}

When its standard input ends, because pytest closed it or died in whatever way, it kills what it started, by
process id, removes DIRECTORY and ends. Where the kernel offers it (Linux), its children are also killed when
it is killed itself.
"""

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Supervisor:
    """Starts, kills and forgets named processes whose logs lie in one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        # Loaded before the first fork: between fork and exec only a plain system call is safe.
        self._libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def answer(self, request: dict[str, object]) -> dict[str, object]:
        """Carry out one request of the protocol in the module's docstring."""
        if "start" in request:
            return {"pid": self._start(str(request["start"]), request["argv"], str(request["executable"]))}
        if "kill" in request:
            self._kill(str(request["kill"]))
            return {}
        process = self._processes.get(str(request["poll"]))
        exit_code = process.poll() if process else None
        return {"running": process is not None and exit_code is None, "exit_code": exit_code}

    def _start(self, name: str, argv: object, executable: str) -> int:
        assert isinstance(argv, list)
        with (self._directory / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [str(argument) for argument in argv],
                executable=executable,
                cwd=self._directory,
                env={"HOME": str(self._directory), "PATH": os.environ.get("PATH", "")},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=self._die_with_parent,
            )
        self._processes[name] = process
        return process.pid

    def _die_with_parent(self) -> None:
        if self._libc is not None:
            self._libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    def _kill(self, name: str) -> None:
        process = self._processes.pop(name, None)
        if process is not None:
            process.kill()
            process.wait()

    def clean_up(self) -> None:
        """Kill every process and remove the directory."""
        for name in reversed(list(self._processes)):  # etcd last: nobody is left to complain of its absence
            self._kill(name)
        shutil.rmtree(self._directory, ignore_errors=True)


def main() -> None:
    supervisor = Supervisor(Path(sys.argv[1]))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        for line in sys.stdin:
            print(json.dumps(supervisor.answer(json.loads(line))), flush=True)
    finally:
        supervisor.clean_up()


if __name__ == "__main__":
    main()
