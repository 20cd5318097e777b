"""Opens the store of a URI by its scheme."""

from __future__ import annotations

from .access import Access
from .hub import Hub
from .s3 import s3_bucket
from .store import StorageUri, Store


def open_store(uri: str, access: Access) -> Store:
    """The store of a URI that the CRD has admitted. Raises DownloadRefusedError."""
    parsed = StorageUri.parse(uri)
    return Hub(parsed, access) if parsed.scheme == "hf" else s3_bucket(parsed, access)
