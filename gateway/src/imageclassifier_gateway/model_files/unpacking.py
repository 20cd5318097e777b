"""Unpacks the archive of a model: tar, tar.gz or zip. Nothing is written outside of the target directory.

Only plain files and directories are written, with our own permissions, and their number and size is bounded
by what is really written, because the sizes in an archive's headers may be wrong.
"""

from __future__ import annotations

import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

from .download import MAX_BYTES
from .listing import shown_path
from .refusal import DownloadRefusedError

MAX_FILES = 10_000
_CHUNK_BYTES = 2**20


def unpack(archive: Path, target: Path) -> None:
    """Unpack `archive` into the new directory `target`. Raises DownloadRefusedError or OSError."""
    target.mkdir()
    written = 0
    try:
        for number, (name, opened) in enumerate(_members(archive)):
            if number >= MAX_FILES:
                raise DownloadRefusedError(
                    f"The archive has more than {MAX_FILES:,} files. Pack only the model."
                )
            path = target / _safe(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            if opened is not None:
                with path.open("xb") as file:
                    written += _copy(opened, file, MAX_BYTES - written)
            else:
                path.mkdir(exist_ok=True)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise DownloadRefusedError(f"The archive is damaged: {error}. Pack it again.") from None
    except (FileExistsError, NotADirectoryError):
        raise DownloadRefusedError("The archive has two files of the same name. Pack it again.") from None


def discard(*paths: Path) -> None:
    """Remove files and directories, if they exist."""
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _members(archive: Path) -> Iterator[tuple[str, IO[bytes] | None]]:
    """The name of each member and its content; None for a directory."""
    if zipfile.is_zipfile(archive):
        yield from _of_zip(archive)
        return
    try:
        opened = tarfile.open(archive, "r:*")  # noqa: SIM115 - closed below
    except tarfile.ReadError:
        raise DownloadRefusedError(
            "The file is no archive. Pack the directory of the version as .tar, .tar.gz or .zip."
        ) from None
    with opened:
        for member in opened:
            if member.isdir():
                yield member.name, None
            elif member.isreg():
                yield member.name, opened.extractfile(member)
            else:
                raise DownloadRefusedError(_not_plain(member.name))


def _of_zip(archive: Path) -> Iterator[tuple[str, IO[bytes] | None]]:
    with zipfile.ZipFile(archive) as opened:
        for member in opened.infolist():
            mode = member.external_attr >> 16
            if member.flag_bits & 1:
                raise DownloadRefusedError("The archive is encrypted. Pack it without a password.")
            if member.is_dir():
                yield member.filename, None
            elif stat.S_IFMT(mode) in (0, stat.S_IFREG):
                with opened.open(member) as content:
                    yield member.filename, content
            else:
                raise DownloadRefusedError(_not_plain(member.filename))


def leads_out(path: PurePosixPath) -> bool:
    """Whether a name from an archive or a store may lead out of its directory.

    >>> leads_out(PurePosixPath("a/../../b")), leads_out(PurePosixPath("a/b"))
    (True, False)
    """
    return path.is_absolute() or ".." in path.parts or "\0" in str(path)


def _safe(name: str) -> PurePosixPath:
    path = PurePosixPath(name.replace("\\", "/"))
    if leads_out(path):
        raise DownloadRefusedError(
            f"The archive has a file outside of its directory: {_shown(name)}. Pack it with relative names."
        )
    return path


def _not_plain(name: str) -> str:
    return (
        f"The archive has a link or a special file: {_shown(name)}. Pack only plain files, with tar "
        "--dereference."
    )


def _shown(name: str) -> str:
    return shown_path(Path(name))


def _copy(opened: IO[bytes], file: Any, most: int) -> int:
    copied = 0
    while chunk := opened.read(_CHUNK_BYTES):
        copied += len(chunk)
        if copied > most:
            raise DownloadRefusedError(
                f"The archive has more than {MAX_BYTES // 2**30} GiB when it is unpacked. Use an image or a "
                "volume instead."
            )
        file.write(chunk)
    return copied
