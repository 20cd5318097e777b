"""From the URL of an archive to the directory of the version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .download import download
from .https_client import Remote
from .layout import Place, only_model_directory
from .refusal import NO_SPACE, DownloadRefusedError, no_space
from .unpacking import discard, unpack

_FIELD = "spec.model.source.https.headersFrom"
_ADVICE = "Pack the directory that the export of the model has written."


@dataclass(frozen=True)
class Archive:
    """The archive of a version, with its SHA-256 digest."""

    remote: Remote
    sha256: str
    version: int


def fetch(archive: Archive, out: Path) -> bool:
    """Write the SavedModel in the archive to `out`/<version>; False if it is there already.

    The last step is a rename, so a container that runs again finds all of the version or nothing. A partial
    download stays for it.
    """
    directory = out / str(archive.version)
    if directory.exists():
        return False
    file = out / f"{archive.sha256}.part"
    download(archive.remote, archive.sha256, file)
    unpack_model(file, directory)
    return True


def unpack_model(file: Path, directory: Path) -> None:
    """Unpack an archive, and move its SavedModel to `directory`, whose name is the version.

    The archive is removed. Raises DownloadRefusedError or FilesRefusedError.
    """
    unpacked = directory.parent / "unpacked"
    discard(unpacked)
    try:
        unpack(file, unpacked)
    except OSError as error:
        if error.errno in NO_SPACE:
            raise no_space(error) from None
        raise
    found = only_model_directory(
        Place(unpacked, unpacked, int(directory.name), "", root_name="The archive"), _ADVICE
    )
    discard(file)
    found.rename(directory)
    discard(unpacked)


def secret_headers(directory: Path | None) -> Mapping[str, str]:
    """The headers in a mounted Secret: each key is a name. Raises DownloadRefusedError for invalid ones."""
    if directory is None:
        return {}
    headers = {}
    for file in sorted(directory.iterdir()):
        if file.name.startswith("."):
            continue  # the kubelet's own links
        value = file.read_text(encoding="utf-8", errors="replace").strip()
        if not value.isprintable() or not value.isascii():
            raise DownloadRefusedError(
                f"The key {file.name} of the Secret in {_FIELD} is sent as a header, so it must be one line "
                "of ASCII characters. Correct it."
            )
        headers[file.name] = value
    return headers
