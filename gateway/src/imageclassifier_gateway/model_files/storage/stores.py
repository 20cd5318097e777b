"""Opens the store of a URI by its scheme."""

from __future__ import annotations

from .access import Access
from .gcs import gcs_bucket
from .hub import Hub
from .s3 import s3_bucket
from .store import StorageUri, Store


def open_store(uri: str, access: Access) -> Store:
    """The store of a URI that the CRD has admitted. Raises DownloadRefusedError."""
    parsed = StorageUri.parse(uri)
    match parsed.scheme:
        case "hf":
            return Hub(parsed, access)
        case "gs":
            return gcs_bucket(parsed, access)
        case _:
            return s3_bucket(parsed, access)
