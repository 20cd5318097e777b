"""Archives of models, made in memory, and what a download of them has written."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from pathlib import Path


def tar(files: dict[str, bytes], kind: str = "w:gz", *others: tarfile.TarInfo) -> bytes:
    """A tar archive, without the time that tarfile would write into a gzip header."""
    mode = kind.removesuffix(":gz")
    with tarfile.open(fileobj=(file := io.BytesIO()), mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for other in others:
            archive.addfile(other)
    return gzip.compress(file.getvalue(), mtime=0) if kind == "w:gz" else file.getvalue()


def zipped(files: dict[str, bytes], mode: int = 0) -> bytes:
    with zipfile.ZipFile(file := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            member = zipfile.ZipInfo(name)
            member.external_attr = mode << 16
            archive.writestr(member, content)
    return file.getvalue()


def written(folder: Path) -> dict[str, bytes]:
    """The files below a folder, by their relative paths."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
