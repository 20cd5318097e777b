"""What Linux shows in /proc: processes, the capabilities of this one, and mounts.

Other systems have no /proc. There the Docker Engine runs in a virtual machine.
"""

from collections.abc import Sequence
from pathlib import Path

#: Bit number in /proc/self/status (linux/capability.h).
CAP_SYS_RESOURCE = 24
_PROC = Path("/proc")


def text(name: str) -> str | None:
    """The text of a file in /proc; None if it does not exist."""
    try:
        return (_PROC / name).read_text(encoding="utf-8")
    except OSError:
        return None


def has_capability(status: str, number: int) -> bool:
    """Whether the bounding set in the text of /proc/PID/status has a capability."""
    line = next(line for line in status.splitlines() if line.startswith("CapBnd:"))
    return bool(int(line.split()[1], 16) >> number & 1)


def host_has_sys_resource() -> bool:
    """Whether containers can get the capability CAP_SYS_RESOURCE.

    On machines without /proc (macOS), the engine runs in a virtual machine that has it.
    """
    status = text("self/status")
    return status is None or has_capability(status, CAP_SYS_RESOURCE)


def name_of_process(pid: int) -> str:
    """The name of the program that a process runs; empty if there is no such process."""
    return (text(f"{pid}/comm") or "").strip()


def running_pid(pid_file: Path, name: str) -> int | None:
    """The process id in a pid file, if that process is alive and is this program."""
    try:
        pid = int(pid_file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return pid if name_of_process(pid) == name else None


def left_mounted(mountinfo: str, directories: Sequence[Path]) -> list[str]:
    """The mounts of an engine in the text of `/proc/self/mountinfo` (proc_pid_mountinfo(5)), innermost first.

    These are all mounts inside its directories, and the directories that dockerd has bound to themselves to
    share them. A disk that is mounted at one of the directories is not one of them.
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
