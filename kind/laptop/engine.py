"""The Docker Engine: uses the existing one, or installs and starts our own (as root on Debian or Ubuntu).

Our own engine has its own settings file, data directory, pid file and log. It listens on Docker's usual
socket, so `docker` works as usual. The Docker configuration of the host is not changed.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from laptop import apt, places, proc
from laptop.proc import host_has_sys_resource, left_mounted, name_of_process, running_pid
from laptop.progress import Step, StepFailed, output, step

PACKAGES = ("docker.io", "containerd", "runc", "iproute2", "iptables", "containernetworking-plugins")
_RUNTIME = "runc-without-sys-resource"
_START_SECONDS = 60


@dataclass(frozen=True)
class Files:
    """The files of our own engine."""

    settings: Path
    runtime: Path
    pid: Path
    log: Path
    data: Path
    run: Path

    @classmethod
    def of_this_machine(cls) -> "Files":
        """The paths on this machine."""
        state = places.state_directory()
        return cls(
            settings=state / "dockerd.json",
            runtime=state / _RUNTIME,
            pid=state / "dockerd.pid",
            log=places.log_directory() / "dockerd.log",
            data=Path(os.environ.get("IMAGECLASSIFIER_DOCKER_DATA", "/var/lib/imageclassifier/docker")),
            run=Path("/run/imageclassifier-docker"),
        )


def settings(runtime: Path | None, mirrors: tuple[str, ...] = ()) -> dict[str, object]:
    """The settings of our own engine; `runtime` is the wrapper for machines without the capability."""
    values: dict[str, object] = {"log-level": "warn"}
    if runtime:
        values |= {"default-runtime": _RUNTIME, "runtimes": {_RUNTIME: {"path": str(runtime)}}}
    if mirrors:
        values["registry-mirrors"] = list(mirrors)
    return values


def answers() -> bool:
    """Whether a Docker Engine answers."""
    return output(["docker", "version", "--format", "{{.Server.Version}}"], timeout_seconds=20) is not None


def is_ours() -> bool:
    """Whether our own engine runs."""
    return running_pid(Files.of_this_machine().pid, "dockerd") is not None


def ran_here() -> bool:
    """Whether our own engine has data on this machine and can be started again."""
    return Files.of_this_machine().data.is_dir() and shutil.which("dockerd") is not None


def ensure() -> None:
    """Make a Docker Engine answer: the existing one, else our own, which is installed and started."""
    if answers():
        return
    with step("Start the Docker Engine", "installs it first if it is missing") as current:
        if shutil.which("dockerd") is None:
            apt.install(PACKAGES, current, "install Docker and start it")
        if answers():  # Debian's package starts it if there is a service manager
            return
        if os.geteuid() != 0:
            raise StepFailed(
                "The Docker Engine does not answer. Start it (or join the group docker) and run this again."
            )
        start(current)


def write_settings(mirrors: tuple[str, ...] = ()) -> None:
    """Write the settings file of our own engine."""
    files = Files.of_this_machine()
    files.settings.parent.mkdir(parents=True, exist_ok=True)
    runtime = None
    if not host_has_sys_resource():
        # A copy, because the engine may outlive the checkout that started it.
        runtime = files.runtime
        shutil.copy2(places.KIND / "runtime" / _RUNTIME, runtime.with_suffix(".new"))
        runtime.with_suffix(".new").replace(runtime)
    files.settings.write_text(json.dumps(settings(runtime, mirrors), indent=2) + "\n", encoding="utf-8")


def start(current: Step) -> None:
    """Start our engine, even after a crash of an earlier one; return when it answers."""
    files = Files.of_this_machine()
    files.log.parent.mkdir(parents=True, exist_ok=True)
    pid, started = running_pid(files.pid, "dockerd"), None
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
            started = subprocess.Popen(
                [
                    "dockerd", "--config-file", files.settings, "--pidfile", files.pid,
                    "--data-root", files.data, "--exec-root", files.run,
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/",
            )  # fmt: skip
        pid = started.pid
    current.say(f"dockerd has process id {pid}; its log is {files.log}")
    deadline = time.monotonic() + _START_SECONDS
    while not answers():
        # The kernel names a new process only after `Popen` returns, so the name cannot show that it ended.
        ended = name_of_process(pid) != "dockerd" if started is None else started.poll() is not None
        if ended:
            raise StepFailed(f"dockerd ended immediately. Read the end of {files.log}, then run this again.")
        if time.monotonic() > deadline:
            raise StepFailed(
                f"dockerd does not answer after {_START_SECONDS} s. Read {files.log}, then run this again."
            )
        time.sleep(0.3)


def reload() -> None:
    """Make our running engine reload its settings, registry mirrors included."""
    if pid := running_pid(Files.of_this_machine().pid, "dockerd"):
        os.kill(pid, signal.SIGHUP)


def stop(current: Step) -> None:
    """Stop our own engine if it runs. An engine that existed before keeps running."""
    files = Files.of_this_machine()
    pid = running_pid(files.pid, "dockerd")
    if pid is None:
        _unmount(files)
        return
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 60
    while name_of_process(pid) == "dockerd":
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)  # if this process started it, it keeps its name until then
        if time.monotonic() > deadline:
            raise StepFailed(f"dockerd (process {pid}) does not end. End it by hand and run this again.")
        time.sleep(0.2)
    output(["ip", "link", "delete", "docker0"])  # dockerd does not delete its bridge
    _unmount(files)
    current.say("dockerd has ended")


def _unmount(files: Files) -> None:
    """Unmount what a killed engine left mounted, so that its files can be deleted."""
    for point in left_mounted(proc.text("self/mountinfo") or "", (files.run, files.data)):
        output(["umount", point])
    shutil.rmtree(files.run, ignore_errors=True)
