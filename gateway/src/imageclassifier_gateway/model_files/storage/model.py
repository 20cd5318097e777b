"""From the files behind the URI of a store to the directory of the version."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..archive import unpack_model
from ..digests import directory_digest, file_digest
from ..download import MAX_BYTES
from ..other_models import other_model
from ..refusal import DownloadRefusedError, FilesRefusedError
from ..retries import retried
from ..unpacking import discard
from .choice import ADVICE, FIELD, files_of_version
from .store import RemoteFile, Store
from .transfer import fetched


@dataclass(frozen=True)
class Wanted:
    """The version, and the digest that its archive or its files must have, if the spec has one."""

    version: int
    sha256: str | None = None


def fetch_model(store: Store, wanted: Wanted, out: Path) -> str:
    """Write the SavedModel to `out`/<version>, and return the digest.

    The last step is a rename, so a container that runs again finds all of the version or nothing. The files
    that have arrived completely or in part stay for it. Raises DownloadRefusedError, FilesRefusedError or
    DownloadFailedError.
    """
    directory = out / str(wanted.version)
    if not directory.exists():
        if store.uri.is_archive:
            _fetch_archive(store, wanted, directory)
        else:
            _fetch_files(store, wanted, directory)
    return wanted.sha256 or directory_digest(directory)


def _fetch_archive(store: Store, wanted: Wanted, directory: Path) -> None:
    archive = retried(store.uri.text, store.file)
    _refuse_too_much(store, archive.size)
    file = fetched(store, archive, directory.parent / "parts")
    try:
        _check_digest(store, wanted, lambda: file_digest(file))
    except DownloadRefusedError:
        discard(file)
        raise
    unpack_model(file, directory)


def _fetch_files(store: Store, wanted: Wanted, directory: Path) -> None:
    files = retried(store.uri.text, store.files)
    if not files:
        raise _is_a_file(store, wanted, retried(store.uri.text, store.file))
    out = directory.parent
    chosen = files_of_version(store.uri, wanted.version, files, out / "names")
    _refuse_too_much(store, sum(file.size for file in chosen))
    parts, ready = out / "parts", out / "ready"
    discard(ready)
    arrived = [(fetched(store, file, parts), file.path) for file in chosen]
    for part, path in arrived:
        (ready / path).parent.mkdir(parents=True, exist_ok=True)
        part.rename(ready / path)
    _check_digest(store, wanted, lambda: directory_digest(ready))
    ready.rename(directory)
    discard(parts)


def _is_a_file(store: Store, wanted: Wanted, file: RemoteFile) -> Exception:
    """No name starts with the URI, but it is itself the name of a file."""
    advice = other_model([store.uri.path.rpartition("/")[2]], wanted.version) or ADVICE
    return FilesRefusedError(
        f"{store.uri.text} is one file of {file.size:,} bytes, and no archive or directory. {advice}"
    )


def _refuse_too_much(store: Store, size: int) -> None:
    if size > MAX_BYTES:
        raise DownloadRefusedError(
            f"{store.uri.text} has {size:,} bytes, more than {MAX_BYTES // 2**30} GiB. Use an image or a "
            "volume."
        )


def _check_digest(store: Store, wanted: Wanted, digest: Callable[[], str]) -> None:
    """`digest` reads the whole model, so it is called only if the spec has a digest."""
    if wanted.sha256 is None:
        return
    found = digest()
    if found != wanted.sha256:
        raise DownloadRefusedError(
            f"The content of {store.uri.text} has the SHA-256 digest {found}, but {FIELD}.sha256 is "
            f"{wanted.sha256}. Correct the URI or the digest."
        )
