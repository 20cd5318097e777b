"""The processes of a control plane, and their logs. They end when this Python process ends in any way."""

import contextlib
import json
import subprocess
import sys
from pathlib import Path

_LOG_LINES_SHOWN = 15


class Processes:
    """Named processes in a directory, started by `supervisor.py`. NAME.log has the output of each."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._supervisor = subprocess.Popen(
            [sys.executable, "-I", str(Path(__file__).with_name("supervisor.py")), str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C in the terminal ends pytest, which then ends this
        )

    def start(self, name: str, argv: list[str], executable: Path) -> int:
        """Start a process. Returns its id."""
        return int(str(self._ask({"start": name, "argv": argv, "executable": str(executable)})["pid"]))

    def kill(self, name: str) -> None:
        """Kill a process at once (SIGKILL), and wait until it is gone."""
        self._ask({"kill": name})

    def is_running(self, name: str) -> bool:
        """Whether this process was started and has not ended."""
        return bool(self._ask({"poll": name})["running"])

    def raise_if_ended(self, name: str) -> None:
        """Raise RuntimeError with the end of its log if this process has ended."""
        state = self._ask({"poll": name})
        if not state["running"]:
            raise RuntimeError(
                f"{name} ended with exit code {state['exit_code']}; the end of its log:\n"
                f"{self._end_of_log(self._directory / f'{name}.log')}"
            )

    def ends_of_logs(self) -> str:
        """The last lines of each log."""
        logs = sorted(self._directory.glob("*.log"))
        return "\n".join(f"the end of {log.name}:\n{self._end_of_log(log)}" for log in logs)

    def close(self) -> None:
        """Kill all processes. The supervisor removes the directory."""
        assert self._supervisor.stdin is not None
        assert self._supervisor.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._supervisor.stdin.close()
        self._supervisor.wait()
        self._supervisor.stdout.close()

    def _end_of_log(self, log: Path) -> str:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-_LOG_LINES_SHOWN:])

    def _ask(self, request: dict[str, object]) -> dict[str, object]:
        assert self._supervisor.stdin is not None
        assert self._supervisor.stdout is not None
        print(json.dumps(request), file=self._supervisor.stdin, flush=True)
        answer: dict[str, object] = json.loads(self._supervisor.stdout.readline())
        return answer
