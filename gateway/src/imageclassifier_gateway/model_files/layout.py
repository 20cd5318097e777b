"""Finds the SavedModel of a version, or says what lies there instead and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .listing import listing, shown_path
from .other_models import other_model
from .refusal import FilesRefusedError
from .version_directories import SAVED_MODEL_FILES, version_directory, version_number

_MAX_DEPTH = 3
_MAX_ENTRIES = 2000


@dataclass(frozen=True)
class Place:
    """Where a version is expected: `base` contains the version directories.

    `root` is the top of the image or volume, to which paths in messages are relative. `field` is the field of
    the spec that leads to `base`. In a copy of an image's names (`names_only`), files are symbolic links that
    lead nowhere.
    """

    root: Path
    base: Path
    version: int
    field: str
    names_only: bool = False
    root_name: str = "The volume"

    def shown(self, path: Path) -> str:
        """A path as the user knows it."""
        return self.root_name if path == self.root else shown_path(path.relative_to(self.root))

    def exists(self, path: Path) -> bool:
        """Whether there is a file or a directory."""
        return path.exists() or (self.names_only and path.is_symlink())

    def has_saved_model(self, directory: Path) -> bool:
        """Whether a SavedModel lies directly in `directory`."""
        return any(self.exists(directory / name) for name in SAVED_MODEL_FILES)

    @property
    def wanted(self) -> str:
        """The directory that the version should have."""
        return self.shown(self.base / str(self.version))


def saved_model_directory(place: Place) -> Path:
    """The directory of the version, which contains a SavedModel. Raises FilesRefusedError."""
    try:
        if not place.base.is_dir():
            raise FilesRefusedError(_no_base(place))
        found = version_directory(place.base, place.version, links=place.names_only)
        if found is None:
            raise FilesRefusedError(_no_version(place))
        if not (place.names_only and found.is_symlink()) and not place.has_saved_model(found):
            raise FilesRefusedError(_no_saved_model(place, found))
    except OSError as error:
        raise FilesRefusedError(
            f"{place.shown(Path(error.filename))} cannot be read: {error.strerror}. Make it readable by any "
            "user."
        ) from None
    return found


def _no_base(place: Place) -> str:
    above = next(each for each in place.base.parents if each.is_dir() or each == place.root)
    return (
        f"There is no directory {place.shown(place.base)}. {place.shown(above)} contains {listing(above)}. "
        f"{_put_there(place)}"
    )


def _no_version(place: Place) -> str:
    base = place.shown(place.base)
    if place.has_saved_model(place.base):
        return (
            f"{base} contains the SavedModel itself: {listing(place.base)}. Each version needs its own "
            f"directory. Move the files into {place.wanted}."
        )
    names = sorted(entry.name for entry in place.base.iterdir() if entry.is_dir())
    named = rf"v(er(sion)?)?[-_. ]?0*{place.version}"
    if similar := next((name for name in names if re.fullmatch(named, name, re.IGNORECASE)), None):
        return (
            f"There is no directory {place.wanted}, only {shown_path(Path(similar))}. The name of a version "
            f"directory must be a number. Rename it to {place.version}."
        )
    versions = sorted(number for number in map(version_number, names) if number)
    if versions:
        shown = ", ".join(map(str, versions[-10:]))
        which = f"the version {shown}" if len(versions) == 1 else f"the versions {shown}"
        return (
            f"{base} has no version {place.version}, only {which}. Set spec.model.version to one that "
            f"exists, or put the SavedModel into {place.wanted}."
        )
    return f"There is no directory {place.wanted}. {_instead(place, place.base, _put_there(place))}"


def _put_there(place: Place) -> str:
    return f"Put the SavedModel into {place.wanted}, or correct {place.field}."


def _no_saved_model(place: Place, directory: Path) -> str:
    shown = place.shown(directory)
    deeper = [each for each in _below(directory) if place.has_saved_model(each)]
    if len(deeper) == 1:
        return (
            f"saved_model.pb must lie directly in {shown}, but it lies in {place.shown(deeper[0])}. Move the "
            f"content of that directory to {shown}."
        )
    if len(deeper) > 1:
        return (
            f"saved_model.pb must lie directly in {shown}, but {len(deeper)} directories below it have one: "
            f"{', '.join(place.shown(each) for each in deeper[:5])}. Keep one model, and move its files to "
            f"{shown}."
        )
    return f"{shown} has no saved_model.pb. {_instead(place, directory, _put_there(place))}"


def _instead(place: Place, directory: Path, otherwise: str) -> str:
    """What a directory without a SavedModel contains, and what to do. `otherwise`: if nothing there helps."""
    contains = f"{place.shown(directory)} contains {listing(directory)}."
    folders = [directory, *_below(directory)]
    names = [entry.name for folder in folders for entry in _entries(folder) if not entry.is_dir()]
    if other := other_model(names, place.version):
        return f"{contains} {other}"
    if (directory / "variables").is_dir():
        return f"{contains} The copy is incomplete. Copy the whole directory that the export has written."
    return f"{contains} {otherwise}"


def _below(directory: Path) -> Iterator[Path]:
    """The directories below `directory`, the nearest first, as far as they can be read."""
    level, seen = [directory], 0
    for _ in range(_MAX_DEPTH):
        deeper = []
        for folder in level:
            entries = _entries(folder)
            seen += len(entries)
            if seen > _MAX_ENTRIES:
                return
            deeper += [entry for entry in entries if entry.is_dir() and not entry.is_symlink()]
        yield from deeper
        level = deeper


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def only_model_directory(place: Place, advice: str) -> Path:
    """The directory with the only SavedModel below `place.root`, or with that of the version.

    `advice`: what to do if there is none. Raises FilesRefusedError if there is none, or a choice.
    """
    found = [each for each in (place.root, *_below(place.root)) if place.has_saved_model(each)]
    numbered = [each for each in found if version_number(each.name) == place.version]
    if len(found) == 1 or len(numbered) == 1:
        return numbered[0] if len(numbered) == 1 else found[0]
    if found:
        names = ", ".join(place.shown(each) for each in found[:5])
        raise FilesRefusedError(
            f"{place.root_name} contains {len(found)} models, in {names}. Keep only that of version "
            f"{place.version}, or call its directory {place.version}."
        )
    raise FilesRefusedError(f"{place.root_name} has no saved_model.pb. {_instead(place, place.root, advice)}")
