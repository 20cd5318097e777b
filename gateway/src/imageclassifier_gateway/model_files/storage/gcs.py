"""Google Cloud Storage."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from obstore.store import GCSStore

from ..refusal import DownloadRefusedError
from .access import RETRIES, Access
from .object_store import Bucket
from .store import StorageUri
from .store_errors import Origin, explanation

if TYPE_CHECKING:
    from obstore.store import GCSConfig

# Workload Identity of GKE answers there for the pod's ServiceAccount.
_METADATA_SERVER = ("metadata.google.internal", 80)
_METADATA_SECONDS = 2


def gcs_bucket(uri: StorageUri, access: Access) -> Bucket:
    """The bucket with the files of a model."""
    store, origin = gcs_store(uri, access)
    return Bucket(uri, store, lambda text: explanation(uri, text, origin))


def gcs_store(uri: StorageUri, access: Access) -> tuple[GCSStore, Origin]:
    """The bucket, with the key in the Secret, else as the pod's ServiceAccount, else without credentials."""
    config: GCSConfig = {}
    if access.endpoint is not None:
        config["base_url"] = access.endpoint
    origin = Origin.NONE
    if access.credentials is not None:
        origin, config["service_account_key"] = Origin.SECRET, _key(access)
    elif _has_metadata_server():
        origin = Origin.SERVICE_ACCOUNT
    else:
        config["skip_signature"] = True
    store = GCSStore(uri.place, config=config, client_options=access.client_options(), retry_config=RETRIES)
    return store, origin


def _key(access: Access) -> str:
    """The key of a service account, in the only entry of the Secret whose name ends with .json."""
    names = [name for name in access.secret_names() if name.endswith(".json")]
    if len(names) != 1:
        raise DownloadRefusedError(
            f"{access.shown_secret} has {', '.join(access.secret_names()) or 'nothing'}. It must have "
            "one entry whose name ends with .json: the key of a service account."
        )
    return access.secret(names)[names[0]]


def _has_metadata_server() -> bool:
    try:
        with socket.create_connection(_METADATA_SERVER, timeout=_METADATA_SECONDS):
            return True
    except OSError:
        return False
