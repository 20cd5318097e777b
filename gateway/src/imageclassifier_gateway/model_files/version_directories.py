"""Finds the directory of a version as TensorFlow Serving does (file_system_storage_path_source.cc)."""

from __future__ import annotations

from pathlib import Path

#: The files of which TensorFlow's loader needs one (saved_model/loader_util).
SAVED_MODEL_FILES = ("saved_model.pb", "saved_model.pbtxt", "saved_model.cpb")
_MAX_NUMBER = 2**63 - 1


def version_number(name: str) -> int | None:
    """The version that a directory of this name has for TensorFlow Serving; None if it is no version.

    >>> version_number("3"), version_number("0003"), version_number("v3"), version_number("1e3")
    (3, 3, None, None)
    """
    digits = name.strip(" \t\n\v\f\r")
    if not digits.isascii() or not digits.isdecimal() or int(digits) > _MAX_NUMBER:
        return None
    return int(digits)


def version_directory(base: Path, version: int, *, links: bool = False) -> Path | None:
    """The directory of a version below `base`: the last one in sorted order, if there are `3` and `0003`.

    None if there is no such directory. `links`: a symbolic link counts even if it leads nowhere. Raises
    OSError if `base` cannot be read.
    """
    named = sorted(entry for entry in base.iterdir() if version_number(entry.name) == version)
    found = [entry for entry in named if entry.is_dir() or (links and entry.is_symlink())]
    return found[-1] if found else None
