"""Lists of files as CSV: `explore` and `--broken-list` write them, `--exclude` reads them.

A listed file is identified by the sha256 of its bytes where the list has it, else by its path. A plain text
with one path per line is read too.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import DataError
from ..files import shown, write_atomically

_HEADER = ("path", "sha256", "class", "finding", "detail")


@dataclass(frozen=True)
class Listed:
    """One line of a list: a file, and why it is listed."""

    path: Path
    digest: str
    class_name: str
    finding: str
    detail: str


@dataclass(frozen=True)
class Exclusions:
    """The files to leave out: their digests, and the absolute paths of those without one."""

    digests: frozenset[str] = field(default=frozenset())
    paths: frozenset[Path] = field(default=frozenset())

    def __len__(self) -> int:
        return len(self.digests) + len(self.paths)

    def has_path(self, path: Path) -> bool:
        """Whether the list names this path."""
        return bool(self.paths) and path.resolve() in self.paths


def write(path: Path, lines: Iterable[Listed]) -> None:
    """Write a list."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(_HEADER)
    for each in lines:
        table.writerow((str(each.path), each.digest, each.class_name, each.finding, each.detail))
    write_atomically(path, text.getvalue().encode("utf-8", "surrogateescape"))


def read(path: Path) -> Exclusions:
    """Read a list. Raises DataError when the file cannot be read.

    A relative path may be relative to the working directory or to the folder of the list.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig", "surrogateescape")
    except OSError as error:
        raise DataError([f"{shown(path)}: the list cannot be read ({error.strerror})."]) from None
    rows = list(csv.reader(io.StringIO(text, newline="")))
    if not rows or "path" not in rows[0]:
        named = [line for line in text.splitlines() if line.strip()]
        return Exclusions(paths=frozenset(_absolute(path, named)))
    table = [dict(zip(rows[0], row, strict=False)) for row in rows[1:]]
    digests = frozenset(each["sha256"] for each in table if each.get("sha256"))
    named = [each["path"] for each in table if each.get("path") and not each.get("sha256")]
    return Exclusions(digests, frozenset(_absolute(path, named)))


def _absolute(list_file: Path, names: Iterable[str]) -> Iterable[Path]:
    for name in names:
        yield Path(name).resolve()
        yield (list_file.parent / name).resolve()
