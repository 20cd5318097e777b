"""A bucket of an object store, read with obstore: its listing, its objects, and its errors in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import obstore
from obstore.exceptions import BaseError

from ..unpacking import MAX_FILES
from .store import RemoteFile, StorageUri

if TYPE_CHECKING:
    from obstore import GetOptions
    from obstore.store import ObjectStore

_CHUNK_BYTES = 4 * 2**20

#: From the text of an error of obstore to the error with a message for the user.
Explain = Callable[[str], Exception]


class Bucket:
    """The files behind a URI of an object store. `explain` makes the errors."""

    def __init__(self, uri: StorageUri, store: ObjectStore, explain: Explain) -> None:
        self._uri, self._store, self._explain = uri, store, explain

    @property
    def uri(self) -> StorageUri:
        """The URI."""
        return self._uri

    def file(self) -> RemoteFile:
        """The object whose key the URI is. It is requested, because only that response has an explanation."""
        with self._explained():
            found = obstore.get(self._store, self._uri.path)
            return self._remote(found.meta, "")

    def files(self) -> list[RemoteFile]:
        """The objects whose keys start with the URI."""
        files: list[RemoteFile] = []
        start = f"{self._uri.path}/" if self._uri.path else ""
        with self._explained():
            for objects in obstore.list(self._store, self._uri.path or None, chunk_size=1000):
                files += [self._remote(each, each["path"].removeprefix(start)) for each in objects]
                if len(files) > MAX_FILES:
                    break
        return [file for file in files if file.key != self._uri.path and not self._is_directory(file)]

    def read(self, file: RemoteFile, offset: int) -> Iterator[bytes]:
        """The content from byte `offset` on."""
        with self._explained():
            options: GetOptions = {}
            if file.tag is not None:
                options["if_match"] = file.tag
            if offset:
                options["range"] = {"offset": offset}
            found = obstore.get(self._store, file.key, options=options)
            for chunk in found.stream(min_chunk_size=_CHUNK_BYTES):
                yield bytes(chunk)

    def _is_directory(self, file: RemoteFile) -> bool:
        """Whether an empty object stands for a directory: its key ends with a slash, which obstore hides."""
        if file.size:
            return False
        try:
            obstore.head(self._store, file.key)
        except FileNotFoundError:
            return True
        except BaseError:
            return False
        return False

    def _remote(self, meta: Any, path: str) -> RemoteFile:
        return RemoteFile(path, meta["path"], meta["size"], meta["e_tag"])

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (BaseError, FileNotFoundError) as error:
            raise self._explain(str(error)) from None
