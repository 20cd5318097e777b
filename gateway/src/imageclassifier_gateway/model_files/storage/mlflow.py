"""Models of an MLflow model registry, over the REST API of its tracking server.

Four requests and the proxy for artifacts are all that is needed: https://mlflow.org/docs/latest/rest-api.html.
The package mlflow would add pandas, a database and a web server to the image. Files that MLflow keeps in a
bucket are read from there.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode, urlsplit

from ..https_client import Remote, body_of, content, words
from ..refusal import AliasResolved, DownloadRefusedError
from ..retries import retried
from ..unpacking import MAX_FILES
from .access import Access
from .choice import FIELD
from .json_api import JsonApi, refusal_message
from .store import RemoteFile, StorageUri, Store

_API = "api/2.0/mlflow"
_ARTIFACTS = "api/2.0/mlflow-artifacts/artifacts"
_TOKEN, _USER, _PASSWORD = "MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"
_BUCKETS = ("s3", "gs")
_RUNS = "runs:/"

#: Opens the bucket behind a URI.
OpenBucket = Callable[[StorageUri, Access], Store]


def mlflow_store(
    uri: StorageUri, access: Access, alias_version: int | None, open_bucket: OpenBucket
) -> Store:
    """The files of `models:/name/number`, or of `models:/name@alias` with the number of the alias.

    Raises AliasResolved if the number is not given, and DownloadRefusedError.
    """
    server = _Server(uri, access)
    name, _, alias = uri.place.partition("@")
    number = uri.path or (None if alias_version is None else str(alias_version))
    if number is None:
        found = retried(uri.text, lambda: server.call("registered-models/alias", name=name, alias=alias))
        raise AliasResolved(uri.text, int(found["model_version"]["version"]))
    wanted = {"name": name, "version": number}
    found = retried(uri.text, lambda: server.call("model-versions/get-download-uri", **wanted))
    place = _without_run(uri, server, str(found["artifact_uri"]))
    scheme = urlsplit(place).scheme
    if scheme in _BUCKETS:
        return open_bucket(StorageUri.parse(place), _access_of_bucket(access))
    if scheme == "mlflow-artifacts" and urlsplit(place).netloc in ("", urlsplit(server.endpoint).netloc):
        return _Artifacts(uri, server, urlsplit(place).path.strip("/"))
    raise DownloadRefusedError(
        f"{uri.text}: the MLflow server keeps the files of version {number} in {place}, which cannot be read "
        "from here. Let the server serve them (--artifacts-destination), or keep them in S3 or Google Cloud "
        "Storage, and register the model again."
    )


def _without_run(uri: StorageUri, server: _Server, place: str) -> str:
    """The URI of the files, also if the server names a path below a run, `runs:/<id>/<path>`."""
    if not place.startswith(_RUNS):
        return place
    run, _, path = place.removeprefix(_RUNS).partition("/")
    found = retried(uri.text, lambda: server.call("runs/get", run_id=run))
    return f"{str(found['run']['info']['artifact_uri']).rstrip('/')}/{path}"


class _Artifacts:
    """The files below a path of the artifacts that the tracking server serves."""

    def __init__(self, uri: StorageUri, server: _Server, root: str) -> None:
        self._uri, self._server, self._root = uri, server, root

    @property
    def uri(self) -> StorageUri:
        """The URI of the model."""
        return self._uri

    def file(self) -> RemoteFile:
        """Nothing: a registered model is never one file."""
        raise DownloadRefusedError(
            f"{self._uri.text} has no files on the MLflow server. Log the model again, and register it."
        )

    def files(self) -> list[RemoteFile]:
        """The files of the model. The listing ends when there are more than a model may have."""
        return list(islice(self._below(""), MAX_FILES + 1))

    def _below(self, directory: str) -> Iterator[RemoteFile]:
        path = f"{self._root}/{directory}".rstrip("/")
        listing = self._server.document(f"{_ARTIFACTS}?{urlencode({'path': path})}")
        directories = []
        for entry in listing.get("files") or ():
            name = f"{directory}/{entry['path']}".lstrip("/")
            if entry.get("is_dir"):
                directories.append(name)
            else:
                yield RemoteFile(name, f"{self._root}/{name}", int(entry.get("file_size") or 0))
        for each in directories:
            yield from self._below(each)

    def read(self, file: RemoteFile, offset: int) -> Iterator[bytes]:
        """The content from byte `offset` on."""
        return content(self._server.at(f"{_ARTIFACTS}/{quote(file.key)}"), offset, "the MLflow server")


class _Server:
    """The tracking server, with the credentials of the Secret."""

    def __init__(self, uri: StorageUri, access: Access) -> None:
        if access.endpoint is None:
            raise DownloadRefusedError(
                f"{FIELD}.endpoint is missing. Set it to the URL of the MLflow tracking server."
            )
        self.endpoint = access.endpoint.rstrip("/")
        refusal = _Refusal(uri, access.credentials is not None)
        remote = Remote(self.endpoint, access.ca_file, _headers(access), FIELD, refusal)
        self._api = JsonApi(remote, "an MLflow tracking server")

    def call(self, method: str, **query: str) -> dict[str, Any]:
        """The answer of a method of the REST API that changes nothing."""
        return self.document(f"{_API}/{method}?{urlencode(query)}")

    def document(self, path: str) -> dict[str, Any]:
        """A JSON object at a path of the server."""
        found, _ = self._api.read(self.at(path), dict)
        return found

    def at(self, path: str) -> Remote:
        """Where to get a path of the server."""
        return replace(self._api.remote, url=f"{self.endpoint}/{path}")


@dataclass(frozen=True)
class _Refusal:
    """What an error of the tracking server means, and what to do."""

    uri: StorageUri
    has_credentials: bool

    def __call__(self, shown: str, error: HTTPError) -> str:
        body = body_of(error)
        try:
            said = ": ".join(filter(None, map(json.loads(body).get, ("error_code", "message"))))
        except (ValueError, AttributeError, TypeError):
            said = words(body)
        return f"{refusal_message(self.uri, shown, error, said)} {self._advice(error.code)}"

    def _advice(self, status: int) -> str:
        if status in (401, 403) and not self.has_credentials:
            return f"Set {FIELD}.credentialsFrom to a Secret with {_TOKEN}, or with {_USER} and {_PASSWORD}."
        if status in (401, 403):
            return f"Correct the Secret in {FIELD}.credentialsFrom, or let its user read the model."
        return f"Register the model, or correct {FIELD}.uri, {FIELD}.endpoint and spec.model.version."


def _headers(access: Access) -> dict[str, str]:
    """The header that MLflow's own clients send for these keys; none without a Secret."""
    names = [] if access.credentials is None else access.secret_names()
    if _TOKEN in names:
        return {"Authorization": f"Bearer {access.secret((_TOKEN,))[_TOKEN]}"}
    if _USER in names or _PASSWORD in names:
        user = access.secret((_USER, _PASSWORD))
        pair = f"{user[_USER]}:{user[_PASSWORD]}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
    return {}


def _access_of_bucket(access: Access) -> Access:
    """How the bucket with the artifacts is reached: by the keys that the Secret has for it, else by the role.

    The endpoint of a store that is compatible with S3 is in the Secret, as MLflow's clients have it too.
    """
    names = [] if access.credentials is None else access.secret_names()
    has_keys = "AWS_ACCESS_KEY_ID" in names or any(name.endswith(".json") for name in names)
    endpoint = "MLFLOW_S3_ENDPOINT_URL"
    return replace(
        access,
        endpoint=access.secret((endpoint,))[endpoint] if endpoint in names else None,
        credentials=access.credentials if has_keys else None,
    )
