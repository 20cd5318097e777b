"""What tells one state of a file from another, for files that others renew while this process runs."""

from __future__ import annotations

from pathlib import Path

FileState = tuple[int, int, int, int]


def file_state(path: Path) -> FileState:
    """A value that differs after each change of the file. Raises OSError if the file cannot be found.

    At each change of a ConfigMap or Secret, the kubelet writes all of its files again, so even equal content
    has another state.
    """
    status = path.stat()
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size
