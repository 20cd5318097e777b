"""SHA-256 digests of a file, and of a directory of files."""

from __future__ import annotations

import hashlib
from pathlib import Path


def file_digest(file: Path) -> str:
    """The digest of a file in hexadecimal digits."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def directory_digest(directory: Path) -> str:
    """The digest of the names and contents of all files below `directory`.

    The same as of `find . -type f | LC_ALL=C sort | xargs sha256sum | sha256sum` in that directory.
    """
    names = [f"./{path.relative_to(directory)}" for path in directory.rglob("*") if path.is_file()]
    lines = (f"{file_digest(directory / name)}  {name}\n" for name in sorted(names, key=str.encode))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
