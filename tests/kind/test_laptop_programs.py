"""The laptop cluster's scripts against real files and processes: steps, pid files, the runtime wrapper."""

import json
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from laptop import apt, places, proc, progress, prometheus

WRAPPER = places.KIND / "runtime" / "runc-without-sys-resource"


@pytest.fixture
def fake_runc(tmp_path: Path) -> Path:
    """A directory with a `runc` that prints its arguments, in place of the one the wrapper ends in."""
    runc = tmp_path / "bin" / "runc"
    runc.parent.mkdir()
    runc.write_text('#!/bin/sh\necho "$@"\n')
    runc.chmod(runc.stat().st_mode | stat.S_IXUSR)
    return runc.parent


def run_wrapper(fake_runc: Path, *arguments: str) -> str:
    environment = {**os.environ, "PATH": f"{fake_runc}:{os.environ['PATH']}"}
    result = subprocess.run(
        [sys.executable, WRAPPER, *arguments], env=environment, check=True, capture_output=True, text=True
    )
    return result.stdout.strip()


PROCESS = {
    "args": ["/sbin/init"],
    "capabilities": {
        "bounding": ["CAP_SYS_ADMIN", "CAP_SYS_RESOURCE"],
        "effective": ["CAP_SYS_RESOURCE", "CAP_KILL"],
    },
}
REDUCED = {"bounding": ["CAP_SYS_ADMIN"], "effective": ["CAP_KILL"]}


def test_the_wrapper_takes_the_capability_out_of_a_new_container(fake_runc: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"ociVersion": "1.0.2", "process": PROCESS}))
    printed = run_wrapper(fake_runc, "--root", "/run/x", "create", "--bundle", str(tmp_path), "name")
    config = json.loads((tmp_path / "config.json").read_text())
    assert config == {"ociVersion": "1.0.2", "process": {**PROCESS, "capabilities": REDUCED}}
    assert printed == f"--root /run/x create --bundle {tmp_path} name"


def test_the_wrapper_takes_the_capability_out_of_an_exec(fake_runc: Path, tmp_path: Path) -> None:
    (tmp_path / "process.json").write_text(json.dumps(PROCESS))
    run_wrapper(fake_runc, "exec", f"--process={tmp_path}/process.json", "name")
    assert json.loads((tmp_path / "process.json").read_text())["capabilities"] == REDUCED


def test_the_wrapper_forwards_every_other_command_unchanged(fake_runc: Path) -> None:
    assert run_wrapper(fake_runc, "state", "name") == "state name"


def test_a_pid_file_whose_number_another_program_has_is_stale(tmp_path: Path) -> None:
    pid_file = tmp_path / "dockerd.pid"
    assert proc.running_pid(pid_file, "dockerd") is None
    pid_file.write_text(f"{os.getpid()}\n")
    assert proc.running_pid(pid_file, "dockerd") is None
    own_name = Path("/proc/self/comm").read_text().strip()
    assert proc.running_pid(pid_file, own_name) == os.getpid()


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "imageclassifier" / "logs"


def test_a_step_prints_its_start_and_its_duration(logs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with progress.step("Do a thing", "quickly") as current:
        current.run(["echo", "hello"], advice="none")
    began, ended = capsys.readouterr().err.splitlines()
    assert began == "… Do a thing (quickly)"
    assert ended.startswith("✓ Do a thing: done, ")
    assert "hello" in (logs / "do-a-thing.log").read_text()


def test_a_failed_step_ends_with_one_sentence_of_advice_and_the_logs_place(
    logs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended, progress.step("Do a thing") as current:
        current.run(["sh", "-c", "echo why; exit 3"], advice="Do this.")
    assert ended.value.code == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert "sh ended with code 3. Do this." in last
    assert str(logs / "do-a-thing.log") in last
    assert "why" in (logs / "do-a-thing.log").read_text()


def test_a_missing_program_is_reported_by_name(logs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit), progress.step("Do a thing") as current:
        current.run(["no-such-program-here"], advice="Install it.")
    assert "The program no-such-program-here was not found. Install it." in capsys.readouterr().err


def test_a_finished_directory_takes_the_place_of_an_old_one(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "stale").touch()
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "fresh").touch()
    places.replace_directory(tmp_path / "new", tmp_path / "old")
    assert [path.name for path in (tmp_path / "old").iterdir()] == ["fresh"]


@pytest.mark.parametrize(
    ("promtool", "is_used"), [("2.53.1", True), ("2.42.0+ds", True), ("2.31.2", False), (None, False)]
)
def test_an_installed_prometheus_is_used_if_it_is_new_enough_and_has_promtool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, promtool: str | None, is_used: bool
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    for name, version in (("prometheus", "2.53.1"), ("promtool", promtool)):
        if version is not None:
            program = tmp_path / name
            program.write_text(f"#!/bin/sh\necho '{name}, version {version} (branch: HEAD)' >&2\n")
            program.chmod(0o755)
    found = prometheus.directory.__wrapped__()
    assert (found == tmp_path) is is_used
    assert is_used or found.is_relative_to(places.cache_directory())


def test_without_apt_the_user_reads_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(progress.StepFailed, match="only on Debian or Ubuntu: install it yourself"):
        apt.unpack("a-package", tmp_path, progress.Step("Unpack", tmp_path / "log"), "install it yourself")


def test_packages_are_unpacked_once_and_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    lock = tmp_path / "lock"  # as apt-get has it: the second of two fails at once
    hold = f"mkdir {lock} || exit 100; sleep 0.2; rmdir {lock}"
    programs = {
        "apt-get": f'{hold}; test "$1" != download || touch "$2_1.deb"',
        "dpkg-deb": 'mkdir -p "$3/usr/bin"; basename "$2" > "$3/usr/bin/program"',
    }
    for name, text in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    packages = ("one", "another", "one")
    with ThreadPoolExecutor(len(packages)) as pool:
        found = list(pool.map(lambda package: apt.ensure_unpacked(package, "install it"), packages))
    files = [(directory / "usr/bin/program").read_text() for directory in found]
    assert files == [f"{package}_1.deb\n" for package in packages]
    capsys.readouterr()
    assert apt.ensure_unpacked("one", "install it") == found[0]
    assert capsys.readouterr().err == ""
