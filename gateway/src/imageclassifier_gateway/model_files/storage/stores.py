"""Opens the store of a URI by its scheme."""

from __future__ import annotations

from .access import Access
from .s3 import s3_bucket
from .store import StorageUri, Store


def open_store(uri: str, access: Access) -> Store:
    """The store of a URI that the CRD has admitted. Raises DownloadRefusedError."""
    return s3_bucket(StorageUri.parse(uri), access)
