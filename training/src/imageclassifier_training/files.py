"""Writes files atomically, shows the names of files, finds numbered ones, and knows where the cache is.

A reader, or a process that is killed, never sees or leaves half of a file.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path


def write_atomically(path: Path, data: bytes) -> None:
    """Write the data to a temporary file in the same folder, flush it to disk, and rename it to `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError):
            # The error of a full disk names no file, and that of the temporary file one that is gone.
            error.filename, error.filename2 = str(path), None
        raise


def shown(path: Path | str) -> str:
    """Make a path printable: control characters and bytes that are not UTF-8 become escapes."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def numbered(folder: Path) -> dict[int, Path]:
    """What has a number as its name in a folder, as the versions of a model; empty if there is no folder."""
    entries: Iterable[Path] = folder.iterdir() if folder.is_dir() else ()
    return {int(each.name): each for each in entries if each.name.isascii() and each.name.isdecimal()}


def default_cache() -> Path:
    """`$XDG_CACHE_HOME/imageclassifier`, or `~/.cache/imageclassifier`."""
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "imageclassifier"
