"""Downloads the archive of a model. A broken download continues where it stopped, and its digest decides."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from .digests import file_digest
from .https_client import Remote, open_url
from .refusal import DownloadRefusedError
from .retries import retried

#: The largest archive, and the largest model.
MAX_BYTES = 16 * 2**30
_CHUNK_BYTES = 2**20


def download(remote: Remote, sha256: str, file: Path) -> None:
    """Download an archive into `file`, or continue it, until its SHA-256 digest is `sha256`.

    Raises DownloadRefusedError or DownloadFailedError.
    """
    continued = file.exists() and file.stat().st_size > 0
    _fetch_all(remote, file)
    found = file_digest(file)
    if found != sha256 and continued:
        # The first part may be of an earlier file. Only a whole download shows what the server has.
        file.unlink()
        _fetch_all(remote, file)
        found = file_digest(file)
    if found != sha256:
        start = file.read_bytes()[:512] if file.stat().st_size < _CHUNK_BYTES else b""
        size = file.stat().st_size
        file.unlink()
        kind = " It is an HTML page." if b"<html" in start.lower() or b"<!doctype" in start.lower() else ""
        raise DownloadRefusedError(
            f"The file at {remote.shown} ({size:,} bytes) has the SHA-256 digest {found}, but "
            f"spec.model.source.https.sha256 is {sha256}.{kind} Correct the URL or the digest."
        )


def _fetch_all(remote: Remote, file: Path) -> None:
    retried(remote.shown, lambda: _fetch(remote, file), lambda: file.stat().st_size if file.exists() else 0)


def _fetch(remote: Remote, file: Path) -> None:
    """One request, for what is missing. Raises OSError or HTTPException if a retry may help."""
    offset = file.stat().st_size if file.exists() else 0
    try:
        response = open_url(remote, offset)
    except HTTPError as error:
        if error.code != 416:
            raise
        if _total(error.headers.get("Content-Range")) == offset:
            return  # the whole file is there
        file.unlink()  # it is longer than the server's
        raise
    with response:
        if response.status != 206:
            offset = 0
        length = response.headers.get("Content-Length")
        expected = None if length is None else offset + int(length)
        if expected is not None and expected > MAX_BYTES:
            raise DownloadRefusedError(_too_large(remote))
        with file.open("r+b" if offset else "wb") as opened:
            opened.seek(offset)
            received = offset + _copy(response, opened, remote, MAX_BYTES - offset)
    if expected is not None and received < expected:
        raise ConnectionError(f"the connection ended after {received:,} of {expected:,} bytes")


def _copy(response: Any, opened: Any, remote: Remote, most: int) -> int:
    received = 0
    while chunk := response.read(_CHUNK_BYTES):
        received += len(chunk)
        if received > most:
            raise DownloadRefusedError(_too_large(remote))
        opened.write(chunk)
    return received


def _too_large(remote: Remote) -> str:
    return f"The file at {remote.shown} has more than {MAX_BYTES // 2**30} GiB. Use an image or a volume."


def _total(content_range: str | None) -> int | None:
    found = re.fullmatch(r"bytes \*/(\d+)", content_range or "")
    return None if found is None else int(found[1])
