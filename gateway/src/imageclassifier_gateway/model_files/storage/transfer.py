"""Downloads one file of a store. A broken download continues where it stopped."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ..digests import file_digest
from ..refusal import DownloadRefusedError
from ..retries import retried
from .store import RemoteFile, Store

_CHUNK_BYTES = 2**20


def fetched(store: Store, file: RemoteFile, parts: Path) -> Path:
    """The complete file in the directory `parts`, of which only the missing rest is downloaded.

    Its name there is made from all that is known of the file, so no part continues with other content.
    """
    parts.mkdir(exist_ok=True)
    identity = "\0".join((file.key, str(file.size), file.tag or ""))
    part = parts / hashlib.sha256(identity.encode()).hexdigest()
    part.touch()
    shown = f"{store.uri.text}/{file.path}" if file.path else store.uri.text
    retried(shown, lambda: _continue(store, file, part), lambda: part.stat().st_size)
    return part


def _continue(store: Store, file: RemoteFile, part: Path) -> None:
    with part.open("ab") as opened:
        if opened.tell() < file.size:
            for chunk in store.read(file, opened.tell()):
                opened.write(chunk)
        size = opened.tell()
    if size > file.size:
        part.write_bytes(b"")
        raise DownloadRefusedError(
            f"{store.uri.text} has a file that is longer than its store says: {file.path or file.key} has "
            f"{size:,} bytes, not {file.size:,}. Upload it again."
        )
    if size < file.size:
        raise ConnectionError(f"the connection ended after {size:,} of {file.size:,} bytes")
    if file.digest is not None and _digest(part, file.digest.partition(":")[0]) != file.digest:
        part.write_bytes(b"")
        raise ConnectionError("the content does not have the digest that the store lists")


def _digest(part: Path, kind: str) -> str:
    if kind == "sha256":
        return f"{kind}:{file_digest(part)}"
    # Git hashes a header before the content: https://git-scm.com/book/en/v2/Git-Internals-Git-Objects
    content = hashlib.sha1(f"blob {part.stat().st_size}\0".encode(), usedforsecurity=False)
    with part.open("rb") as opened:
        while chunk := opened.read(_CHUNK_BYTES):
            content.update(chunk)
    return f"{kind}:{content.hexdigest()}"
