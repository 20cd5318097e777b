"""Finds the files of a version among the names of all files in a store, before any is downloaded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath

from ..layout import Place, only_model_directory
from ..refusal import DownloadRefusedError, FilesRefusedError
from ..unpacking import MAX_FILES, discard, leads_out
from ..version_directories import version_number
from .store import RemoteFile, StorageUri

FIELD = "spec.model.source.storage"
ADVICE = f"Upload the directory that the export of the model has written, or correct {FIELD}.uri."


def files_of_version(uri: StorageUri, version: int, files: list[RemoteFile], names: Path) -> list[RemoteFile]:
    """The files of the version's SavedModel, with their paths relative to its directory.

    `names` gets an empty file of each name, so that the rules and messages are those for other sources.
    Raises DownloadRefusedError or FilesRefusedError.
    """
    if len(files) > MAX_FILES:
        raise DownloadRefusedError(
            f"{uri.text} has more than {MAX_FILES:,} files. Set {FIELD}.uri to the directory of the version."
        )
    discard(names)
    _write_names(uri, files, names)
    try:
        start = _directory(uri, version, names)
    finally:
        discard(names)
    paths = ((file, PurePosixPath(file.path)) for file in files)
    return [
        replace(file, path=str(path.relative_to(start))) for file, path in paths if path.is_relative_to(start)
    ]


def _directory(uri: StorageUri, version: int, names: Path) -> PurePosixPath:
    place = Place(names, names, version, f"{FIELD}.uri", root_name=uri.text)
    found = only_model_directory(place, ADVICE)
    number = version_number(found.name)
    if found != names and number not in (None, version):
        raise FilesRefusedError(
            f"{uri.text} has no version {version}, only {number}. Set spec.model.version to one that exists, "
            f"or upload the model to {uri.text}/{version}."
        )
    return PurePosixPath(found.relative_to(names))


def _write_names(uri: StorageUri, files: list[RemoteFile], names: Path) -> None:
    names.mkdir()
    paths = {_safe(uri, file.path) for file in files}
    # Some tools upload an empty object for each directory, which has the same name.
    directories = {parent for path in paths for parent in path.parents}
    for path in paths - directories:
        (names / path).parent.mkdir(parents=True, exist_ok=True)
        (names / path).touch()


def _safe(uri: StorageUri, name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if leads_out(path):
        raise DownloadRefusedError(
            f"{uri.text} has a file whose name leads out of its directory: {name!r}. Rename it."
        )
    return path
