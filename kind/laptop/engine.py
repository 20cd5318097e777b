"""The Docker Engine: used as found; on Debian or Ubuntu without one, and with root, installed and started.

An engine of ours has its own settings file, data directory, pid file and log, and listens on Docker's usual
socket, so that `docker` simply works. Nothing of the host's own configuration is written.
"""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from laptop import apt, places
from laptop.progress import Step, StepFailed, output, step

PACKAGES = ("docker.io", "containerd", "runc", "iproute2", "iptables", "containernetworking-plugins")
_RUNTIME = "runc-without-sys-resource"
#: Bit number in /proc/self/status (linux/capability.h).
CAP_SYS_RESOURCE = 24
_START_SECONDS = 60
_PROC = Path("/proc")


@dataclass(frozen=True)
class Files:
    """What belongs to an engine of ours."""

    settings: Path
    runtime: Path
    pid: Path
    log: Path
    data: Path
    run: Path

    @classmethod
    def of_this_machine(cls) -> "Files":
        state = places.state_directory()
        return cls(
            settings=state / "dockerd.json",
            runtime=state / _RUNTIME,
            pid=state / "dockerd.pid",
            log=places.log_directory() / "dockerd.log",
            data=Path(os.environ.get("IMAGECLASSIFIER_DOCKER_DATA", "/var/lib/imageclassifier/docker")),
            run=Path("/run/imageclassifier-docker"),
        )


def has_capability(status: str, number: int) -> bool:
    """Whether the bounding set in the text of a /proc/PID/status holds a capability."""
    line = next(line for line in status.splitlines() if line.startswith("CapBnd:"))
    return bool(int(line.split()[1], 16) >> number & 1)


def settings(runtime: Path | None, mirrors: tuple[str, ...] = ()) -> dict[str, object]:
    """The settings of an engine of ours; `runtime` is the wrapper, where the capability is withheld."""
    values: dict[str, object] = {"log-level": "warn"}
    if runtime:
        values |= {"default-runtime": _RUNTIME, "runtimes": {_RUNTIME: {"path": str(runtime)}}}
    if mirrors:
        values["registry-mirrors"] = list(mirrors)
    return values


def host_has_sys_resource() -> bool:
    """Whether containers may be given the capability. Where there is no /proc (macOS) the engine runs in a
    virtual machine of its own, which has it.
    """
    status = _proc_text("self/status")
    return status is None or has_capability(status, CAP_SYS_RESOURCE)


def _proc_text(name: str) -> str | None:
    """What the kernel tells in a file of /proc; None where there is none of that name."""
    try:
        return (_PROC / name).read_text(encoding="utf-8")
    except OSError:
        return None


def answers() -> bool:
    return output(["docker", "version", "--format", "{{.Server.Version}}"], timeout_seconds=20) is not None


def _name_of_process(pid: int) -> str:
    return (_proc_text(f"{pid}/comm") or "").strip()


def running_pid(pid_file: Path, name: str) -> int | None:
    """The process in a pid file, if it is alive and still that program; a reused number is not."""
    try:
        pid = int(pid_file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return pid if _name_of_process(pid) == name else None


def is_ours() -> bool:
    return running_pid(Files.of_this_machine().pid, "dockerd") is not None


def ensure() -> None:
    """An engine that answers: the one there is, else ours, installed when it is missing and started."""
    if answers():
        return
    with step("Start the Docker Engine", "installed first when missing") as current:
        if shutil.which("dockerd") is None:
            apt.install(PACKAGES, current, "install Docker and start it")
        if answers():  # Debian's package starts it where there is a service manager
            return
        if os.geteuid() != 0:
            raise StepFailed(
                "The Docker Engine does not answer: start it (or join the group docker) and run this again."
            )
        start(current)


def write_settings(mirrors: tuple[str, ...] = ()) -> None:
    files = Files.of_this_machine()
    files.settings.parent.mkdir(parents=True, exist_ok=True)
    runtime = None
    if not host_has_sys_resource():
        # A copy, so that the engine outlives the checkout it was started from.
        runtime = files.runtime
        shutil.copy2(places.KIND / "runtime" / _RUNTIME, runtime.with_suffix(".new"))
        runtime.with_suffix(".new").replace(runtime)
    files.settings.write_text(json.dumps(settings(runtime, mirrors), indent=2) + "\n", encoding="utf-8")


def start(current: Step) -> None:
    """Starts our engine, over whatever a killed or crashed one has left; returns when it answers."""
    files = Files.of_this_machine()
    files.log.parent.mkdir(parents=True, exist_ok=True)
    pid = running_pid(files.pid, "dockerd")
    if pid is None:
        # A pid file whose number some other process has meanwhile would stop dockerd, or make it wait for a
        # containerd that is not one.
        for pid_file, name in (
            (files.pid, "dockerd"),
            (files.run / "containerd/containerd.pid", "containerd"),
        ):
            if running_pid(pid_file, name) is None:
                pid_file.unlink(missing_ok=True)
        write_settings()
        with files.log.open("ab") as log:
            pid = subprocess.Popen(
                [
                    "dockerd", "--config-file", files.settings, "--pidfile", files.pid,
                    "--data-root", files.data, "--exec-root", files.run,
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/",
            ).pid  # fmt: skip
    current.say(f"dockerd has process id {pid}; its log is {files.log}")
    deadline = time.monotonic() + _START_SECONDS
    while not answers():
        if _name_of_process(pid) != "dockerd":
            raise StepFailed(
                f"dockerd ended at once: read the last lines of {files.log}, then run this again."
            )
        if time.monotonic() > deadline:
            raise StepFailed(
                f"dockerd does not answer after {_START_SECONDS} s: read {files.log}, then run this again."
            )
        time.sleep(0.3)


def reload() -> None:
    """Makes our running engine read its settings again (registry mirrors are among those it takes up)."""
    if pid := running_pid(Files.of_this_machine().pid, "dockerd"):
        os.kill(pid, signal.SIGHUP)


def stop(current: Step) -> None:
    """Stops our engine, if one runs; one that was found is left alone."""
    files = Files.of_this_machine()
    pid = running_pid(files.pid, "dockerd")
    if pid is None:
        _unmount(files)
        return
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 60
    while _name_of_process(pid) == "dockerd":
        if time.monotonic() > deadline:
            raise StepFailed(f"dockerd (process {pid}) does not end: end it by hand and run this again.")
        time.sleep(0.2)
    output(["ip", "link", "delete", "docker0"])  # dockerd leaves its bridge behind
    _unmount(files)
    current.say("dockerd has ended")


def left_mounted(mountinfo: str, directories: Sequence[Path]) -> list[str]:
    """What an engine mounts, from the lines of `/proc/self/mountinfo` (proc_pid_mountinfo(5)), the innermost
    first.

    That is all inside its directories, and a directory bound to itself, which dockerd does to share it. A
    disk that somebody mounted there is not.
    """
    lines = [line.split() for line in mountinfo.splitlines()]
    mounts = {line[0]: (line[2], Path(line[3]), Path(line[4])) for line in lines}
    found = []
    for number, parent, *_ in lines:
        device, root, point = mounts[number]
        device_above, root_above, point_above = mounts.get(parent, ("", Path("/"), Path("/")))
        bound_to_itself = device == device_above and root == root_above / point.relative_to(point_above)
        if any(one in point.parents or (one == point and bound_to_itself) for one in directories):
            found.append(str(point))
    return sorted(found, reverse=True)


def _unmount(files: Files) -> None:
    """Network namespaces, and what a killed engine had mounted, stay mounted and would keep their files."""
    for point in left_mounted(_proc_text("self/mountinfo") or "", (files.run, files.data)):
        output(["umount", point])
    shutil.rmtree(files.run, ignore_errors=True)
