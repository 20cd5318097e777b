"""S3 and the stores that are compatible with it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from obstore.store import S3Store

from .access import RETRIES, Access
from .object_store import Bucket
from .store import StorageUri
from .store_errors import Origin, explanation

if TYPE_CHECKING:
    from obstore.store import S3Config

# Set in the pods of a ServiceAccount with a role: by IAM roles for service accounts, by EKS Pod Identity, or
# by a webhook of the user.
_WORKLOAD_IDENTITY = (
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_ACCESS_KEY_ID",
)


def s3_bucket(uri: StorageUri, access: Access) -> Bucket:
    """The bucket with the files of a model."""
    store, origin = s3_store(uri, access)
    return Bucket(uri, store, lambda text: explanation(uri, text, origin))


def s3_store(uri: StorageUri, access: Access) -> tuple[S3Store, Origin]:
    """The bucket, with the credentials of the Secret, else of the pod's ServiceAccount, else with none.

    The credentials of the node are never used: the NetworkPolicy closes the way to them.
    """
    config: S3Config = {}
    if access.region is not None:
        config["region"] = access.region
    if access.endpoint is not None:
        config["endpoint"] = access.endpoint
    # Only the names of buckets without dots match the certificate of AWS.
    elif "." not in uri.place:
        config["virtual_hosted_style_request"] = True
    origin = Origin.NONE
    if access.credentials is not None:
        origin = Origin.SECRET
        keys = access.secret(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), ("AWS_SESSION_TOKEN",))
        config["access_key_id"] = keys["AWS_ACCESS_KEY_ID"]
        config["secret_access_key"] = keys["AWS_SECRET_ACCESS_KEY"]
        if "AWS_SESSION_TOKEN" in keys:
            config["session_token"] = keys["AWS_SESSION_TOKEN"]
    elif any(os.environ.get(name) for name in _WORKLOAD_IDENTITY):
        origin = Origin.SERVICE_ACCOUNT
    else:
        config["skip_signature"] = True
    store = S3Store(uri.place, config=config, client_options=access.client_options(), retry_config=RETRIES)
    return store, origin
