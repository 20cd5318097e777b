"""Opens the store of a URI by its scheme."""

from __future__ import annotations

from .access import Access
from .gcs import gcs_bucket
from .hub import Hub
from .mlflow import mlflow_store
from .s3 import s3_bucket
from .store import StorageUri, Store


def open_store(uri: str, access: Access, alias_version: int | None = None) -> Store:
    """The store of a URI that the CRD has admitted.

    `alias_version`: the number that stands for the alias in the URI. Raises DownloadRefusedError, or
    AliasResolved if the URI has an alias and no number is given.
    """
    parsed = StorageUri.parse(uri)
    match parsed.scheme:
        case "hf":
            return Hub(parsed, access)
        case "models":
            return mlflow_store(parsed, access, alias_version, _bucket)
        case _:
            return _bucket(parsed, access)


def _bucket(uri: StorageUri, access: Access) -> Store:
    return gcs_bucket(uri, access) if uri.scheme == "gs" else s3_bucket(uri, access)
