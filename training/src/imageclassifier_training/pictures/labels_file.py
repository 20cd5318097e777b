"""Lists the images of a CSV file of paths and labels, with an optional column for the split.

The delimiter is a comma, semicolon or tab. A header names the columns; without one, the first column has the
paths and the second the labels. Paths are relative to the folder of the file.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError
from ..files import shown
from ..words import counted
from .listing import Listing, Sources, class_name, split_of, unusable_class_name

_PATHS = (
    "path",
    "file",
    "filename",
    "file_name",
    "filepath",
    "file_path",
    "image",
    "image_path",
    "picture",
    "name",
)
_LABELS = ("label", "class", "category", "target", "class_name", "label_name", "tag")
_SPLITS = ("split", "set", "subset", "partition")
#: Tables of competitions often give the name of an image without its extension.
_EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp")


@dataclass(frozen=True)
class _Columns:
    path: int
    label: int
    split: int | None
    has_header: bool


def find(source: Path) -> Sources:
    """List the images of the file. Raises DataError when it is not such a table."""
    rows = _rows(source)
    columns = _columns(source, rows[0])
    listings = {"training": _Rows(source), "validation": _Rows(source), "test": _Rows(source)}
    problems = listings["training"].problems
    labels: dict[Path, tuple[str, int]] = {}
    for number, row in enumerate(rows, start=1):
        if (number == 1 and columns.has_header) or not any(cell.strip() for cell in row):
            continue
        where = f"{shown(source)}, line {number}"
        if len(row) <= max(columns.path, columns.label):
            problems.append(
                f"{where}: the line has {counted(len(row), 'column')}, too few for a path and a label."
            )
            continue
        name = class_name(row[columns.label])
        if why := unusable_class_name(name):
            problems.append(f"{where}: {why}. Write the label into the column, or remove the line.")
            continue
        role: str | None = "training"
        if columns.split is not None and len(row) > columns.split and row[columns.split].strip():
            role = split_of(row[columns.split])
        if role is None:
            problems.append(f"{where}: '{row[columns.split or 0]}' is not a split: write train, val or test.")
            continue
        path = _located(source.parent, row[columns.path].strip())
        other, line = labels.setdefault(path, (name, number))
        if line != number:
            if other != name:
                problems.append(
                    f"{where}: {shown(path)} has the label '{name}' here, and '{other}' in line {line}. "
                    "Remove one of the two lines."
                )
            continue
        listings[role].files.append((path, name))
    found = {role: rows.listing() for role, rows in listings.items() if rows.files or role == "training"}
    if len(found["training"].classes) < 2:
        raise DataError([*problems, _too_few(source, found["training"])])
    return Sources(found["training"], found.get("validation"), found.get("test"))


class _Rows:
    def __init__(self, source: Path) -> None:
        self._source = source
        self.files: list[tuple[Path, str]] = []
        self.problems: list[str] = []

    def listing(self) -> Listing:
        classes = tuple(sorted({name for _, name in self.files}))
        return Listing(self._source, classes, tuple(self.files), tuple(self.problems))


def _rows(source: Path) -> list[list[str]]:
    # Names of files may have any bytes, so bytes that are not UTF-8 are kept as they are.
    text = source.read_bytes().decode("utf-8-sig", "surrogateescape")
    if not text.strip():
        raise DataError([f"{shown(source)} is empty. Give a CSV file of paths and labels."])
    if "\0" in text:
        raise DataError(
            [f"{shown(source)} is not a text. Give a folder of images, or a CSV file of paths and labels."]
        )
    first = text.splitlines()[0]
    delimiter = max(",;\t", key=first.count)
    try:
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise DataError([f"{shown(source)} is not a CSV file: {error}."]) from None


def _columns(source: Path, first: list[str]) -> _Columns:
    header = [cell.strip().casefold() for cell in first]
    path, label = _first(header, _PATHS), _first(header, _LABELS)
    if path is not None and label is not None:
        return _Columns(path, label, _first(header, _SPLITS), has_header=True)
    if len(first) >= 2 and _located(source.parent, first[0].strip()).is_file():
        return _Columns(0, 1, None, has_header=False)
    if header[:1] == ["id"] and label is not None:
        return _Columns(0, label, _first(header, _SPLITS), has_header=True)
    missing = " and ".join(
        what
        for what, at in ((f"the paths ({_PATHS[0]})", path), (f"the labels ({_LABELS[0]})", label))
        if at is None
    )
    raise DataError(
        [
            f"{shown(source)} has no column for {missing}: its first line is '{', '.join(first)[:100]}'. "
            "Name the columns path and label in the first line; a third column, split, is optional."
        ]
    )


def _first(header: list[str], candidates: tuple[str, ...]) -> int | None:
    return next((header.index(name) for name in candidates if name in header), None)


def _located(folder: Path, name: str) -> Path:
    path = folder / name
    return next((each for each in _with_extensions(path) if each.is_file()), path)


def _with_extensions(path: Path) -> Iterator[Path]:
    yield path
    for extension in _EXTENSIONS:
        yield path.with_name(f"{path.name}{extension}") if path.name else path


def _too_few(source: Path, listing: Listing) -> str:
    return (
        f"{shown(source)} has images of {counted(len(listing.classes), 'class', 'classes')} to train on "
        f"({', '.join(listing.classes) or 'none'}). A classifier needs at least two."
    )
