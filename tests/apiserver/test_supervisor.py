"""Nothing outlives pytest: the supervisor ends what it started, however its own parent ends."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import bare_apiserver

SUPERVISOR = Path(bare_apiserver.__file__).with_name("supervisor.py")

# A shell that runs the tests in the background makes them ignore SIGINT; a user's Ctrl-C needs the default.
PARENT = """
import signal, subprocess, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
child = subprocess.Popen([sys.executable, "-I", sys.argv[1], sys.argv[2]], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, text=True, start_new_session=True)
print('{"start": "sleeper", "argv": ["sleep", "600"], "executable": "/bin/sleep"}', file=child.stdin)
child.stdin.flush()
print(child.pid, child.stdout.readline(), flush=True)
time.sleep(600)
"""


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    # Where nobody collects orphans (a container without an init) the dead stay listed as zombies.
    return state != "Z"


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 30
    while is_alive(pid):
        assert time.monotonic() < deadline, f"process {pid} still runs"
        time.sleep(0.02)


@pytest.fixture
def family(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int, int, Path]]:
    """A parent, its supervisor's and its sleeper's process ids, and their directory."""
    directory = tmp_path / "plane"
    directory.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(SUPERVISOR), str(directory)], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        supervisor, answer = parent.stdout.readline().split(" ", 1)
        yield parent, int(supervisor), json.loads(answer)["pid"], directory
        parent.kill()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_when_the_parent_ends_the_processes_end_and_the_directory_is_deleted(
    family: tuple[subprocess.Popen[str], int, int, Path], end: signal.Signals
) -> None:
    parent, supervisor, sleeper, directory = family
    assert is_alive(sleeper)
    parent.send_signal(end)
    parent.wait(timeout=60)
    wait_until_gone(supervisor)
    wait_until_gone(sleeper)
    assert not directory.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent died")
def test_when_the_supervisor_itself_is_killed_the_processes_end(
    family: tuple[subprocess.Popen[str], int, int, Path],
) -> None:
    _, supervisor, sleeper, _ = family
    os.kill(supervisor, signal.SIGKILL)
    wait_until_gone(sleeper)
