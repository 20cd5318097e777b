"""What this folder needs of a store of files: a list of files, and their bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

ARCHIVE_ENDS = (".tar", ".tar.gz", ".tgz", ".zip")


@dataclass(frozen=True)
class StorageUri:
    """`scheme://place/path`, for example a bucket and the common start of the names of its objects."""

    text: str
    scheme: str
    place: str
    path: str

    @classmethod
    def parse(cls, text: str) -> StorageUri:
        """Read a URI that the CRD has admitted.

        >>> StorageUri.parse("s3://models/flowers/1/")
        StorageUri(text='s3://models/flowers/1', scheme='s3', place='models', path='flowers/1')
        >>> StorageUri.parse("models:/flowers@best")
        StorageUri(text='models:/flowers@best', scheme='models', place='flowers@best', path='')
        """
        text = text.rstrip("/")
        # models:/NAME/NUMBER and models:/NAME@ALIAS of MLflow have one slash.
        found = re.fullmatch(r"(models(?=:/[^/])|[a-z0-9]+(?=://)):/{1,2}([^/]+)(?:/(.*))?", text)
        if found is None:
            raise ValueError(f"{text} is no URI of a store")
        return cls(text, found[1], found[2], found[3] or "")

    @property
    def is_archive(self) -> bool:
        """Whether the name is that of an archive."""
        return self.path.lower().endswith(ARCHIVE_ENDS)


@dataclass(frozen=True)
class RemoteFile:
    """A file in a store.

    `path`: relative to the URI; empty if the URI is the name of the file itself. `key`: its name in the
    store. `tag`: changes with the content. `digest`: `sha256:` and the digest, or `git:` and the hash of the
    blob, if the store has one.
    """

    path: str
    key: str
    size: int
    tag: str | None = None
    digest: str | None = None


class Store(Protocol):
    """The files behind one URI.

    The methods raise DownloadRefusedError with the store's own words if a retry would not help, and OSError
    otherwise.
    """

    @property
    def uri(self) -> StorageUri:
        """The URI."""

    def file(self) -> RemoteFile:
        """The file whose name the URI is."""

    def files(self) -> list[RemoteFile]:
        """The files below the URI; none if there are none."""

    def read(self, file: RemoteFile, offset: int) -> Iterator[bytes]:
        """The content of the file from byte `offset` on, as long as the file has not changed."""
