"""The data arguments that several commands share, and how they report what was skipped."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BrokenImages
from ..words import counted
from . import _arguments as arguments

if TYPE_CHECKING:
    from ..pictures.dataset import Broken
    from ..pictures.lists import Exclusions
    from ..pictures.reading import Reading


def add_arguments(group: Any) -> None:
    """Declare the options that say which files are used."""
    add_exclude(group)
    group.add_argument(
        "--skip-broken",
        action="store_true",
        help="go on without the files that are damaged or not images (default: report them all and stop)",
    )
    group.add_argument(
        "--broken-list",
        type=Path,
        metavar="FILE",
        help="write the path and the problem of each unusable file as CSV",
    )


def add_exclude(group: Any) -> None:
    """Declare `--exclude`."""
    group.add_argument(
        "--exclude",
        type=Path,
        metavar="LIST",
        help="leave out the files of this list: the CSV of `explore --write-list` or `--broken-list`, or one "
        "path per line",
    )


def exclusions(options: argparse.Namespace) -> Exclusions:
    """The files of `--exclude`."""
    from ..pictures import lists

    return lists.read(options.exclude) if options.exclude else lists.Exclusions()


def reading(options: argparse.Namespace) -> Reading:
    """How to read the images, by the options."""
    from ..pictures.reading import Reading

    return Reading(skip_broken=options.skip_broken, excluded=exclusions(options))


@contextmanager
def broken_list(options: argparse.Namespace) -> Iterator[list[Broken]]:
    """Write `--broken-list` at the end of the block, or when it raises; the block adds the skipped files."""
    broken: list[Broken] = []
    try:
        yield broken
    except BrokenImages as error:
        broken += error.broken
        if not (options.broken_list or options.skip_broken):
            files = (
                "the unusable file" if len(broken) == 1 else f"the {counted(len(broken), 'unusable file')}"
            )
            error.hint = (
                f"To go on without {files}, add --skip-broken. To write a list, add --broken-list FILE."
            )
        raise
    finally:
        if options.broken_list:
            from ..pictures import lists

            lists.write(
                options.broken_list,
                (lists.Listed(each.path, each.digest, "", "unusable", each.problem) for each in broken),
            )


def print_notes(notes: Iterable[str]) -> None:
    """Print notes to stderr."""
    for note in notes:
        arguments.err.print(f"note: {note}", markup=False)
