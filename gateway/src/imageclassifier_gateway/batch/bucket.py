"""The pictures of a bucket: S3, the stores that are compatible with it, and Google Cloud Storage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError

from ..model_files.refusal import DownloadRefusedError
from ..model_files.storage.access import Access
from ..model_files.storage.gcs import gcs_store
from ..model_files.storage.s3 import s3_store
from ..model_files.storage.store import StorageUri
from ..model_files.storage.store_errors import Origin, is_about_access, is_temporary, said
from .errors import BatchInterruptedError, BatchRefusedError
from .pictures import MAX_BYTES, too_large

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_SCHEMES: dict[str, Callable[[StorageUri, Access], tuple[ObjectStore, Origin]]] = {
    "s3": s3_store,
    "gs": gcs_store,
}
_SETTINGS = "the URI, the endpoint, the region, the certificates or the credentials of the bucket"
_ADVICE = f"Correct {_SETTINGS}."


class BucketFolder:
    """The objects whose keys start with a URI, such as `s3://photographs/2026`."""

    def __init__(self, uri: str, access: Access) -> None:
        self._text = uri
        try:
            self._uri = StorageUri.parse(uri)
            self._store, _ = _SCHEMES[self._uri.scheme](self._uri, access)
        except (ValueError, KeyError):
            raise BatchRefusedError(
                f"{uri} is no URI of a bucket. Use s3://BUCKET/FOLDER or gs://BUCKET/FOLDER."
            ) from None
        except DownloadRefusedError as error:
            raise BatchRefusedError(f"{uri} cannot be opened. {error}") from None
        except BaseError as error:
            raise BatchRefusedError(f"{uri} cannot be opened: {said(str(error))}. {_ADVICE}") from None

    def __str__(self) -> str:
        return self._text

    def names(self) -> Iterator[str]:
        """The keys without the start, in their order in the bucket.

        Raises BatchInterruptedError if a retry may help, and BatchRefusedError otherwise.
        """
        start = f"{self._uri.path}/" if self._uri.path else ""
        try:
            for objects in obstore.list(self._store, self._uri.path or None, chunk_size=1000):
                yield from (each["path"].removeprefix(start) for each in objects if each["size"])
        except (BaseError, OSError) as error:
            text = str(error)
            if is_temporary(text) and not is_about_access(text):
                raise BatchInterruptedError(
                    f"{self._text} cannot be listed now: {said(text)}. The next run continues. If it fails "
                    f"too, correct {_SETTINGS}."
                ) from None
            raise BatchRefusedError(f"{self._text} cannot be listed: {said(text)}. {_ADVICE}") from None

    def read(self, name: str) -> bytes:
        """The content of an object. Raises BatchRefusedError if no object can be read any more."""
        try:
            found = obstore.get(self._store, "/".join(filter(None, (self._uri.path, name))))
            if found.meta["size"] > MAX_BYTES:
                raise ValueError(too_large())
            return bytes(found.bytes())
        except FileNotFoundError:
            raise ValueError("The object has been deleted since the bucket was listed.") from None
        except (BaseError, OSError) as error:
            text = str(error)
            if is_about_access(text):
                raise BatchRefusedError(f"{self._text} cannot be read: {said(text)}. {_ADVICE}") from None
            if is_temporary(text):
                raise ConnectionError(said(text)) from None
            raise ValueError(f"The object cannot be read: {said(text)}.") from None
