"""Models of the Hugging Face Hub, or of a mirror of it, over its HTTP API.

The API is small, and needs only HTTPS requests: https://huggingface.co/docs/hub/api. The library
huggingface_hub would add a second HTTP client, a cache and a command line to the image.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urljoin, urlsplit

from ..https_client import Remote, body_of, content, words
from ..refusal import DownloadRefusedError
from ..unpacking import MAX_FILES
from .access import Access
from .choice import FIELD
from .json_api import JsonApi, refusal_message
from .store import RemoteFile, StorageUri

_HUB = "https://huggingface.co"
_NEXT_PAGE = re.compile(r'<([^>]+)>;\s*rel="next"')
_CORRECT_URI = f"Correct {FIELD}.uri."
#: The header X-Error-Code of the Hub -> what to do.
_ADVICE = {
    "RevisionNotFound": f"Correct the revision behind @ in {FIELD}.uri, or create it.",
    "EntryNotFound": f"Upload the model, or correct {FIELD}.uri and spec.model.version.",
    "GatedRepo": (
        f"Accept the conditions of the repository with the account whose token is in {FIELD}.credentialsFrom."
    ),
}


class Hub:
    """The files of `hf://owner/name@revision/path`. The revision may be a commit, a tag or a branch."""

    def __init__(self, uri: StorageUri, access: Access) -> None:
        repository, _, path = uri.path.partition("/")
        name, _, revision = repository.partition("@")
        self._uri, self._path = uri, path
        self._repository = f"{uri.place}/{name}"
        self._revision = revision or "main"
        endpoint = (access.endpoint or _HUB).rstrip("/")
        if not endpoint.startswith("https://"):
            raise DownloadRefusedError(
                f"{FIELD}.endpoint is {endpoint}, and a token is sent only over HTTPS. Use an https:// URL."
            )
        token = {} if access.credentials is None else access.secret(("HF_TOKEN",))
        headers = {"Authorization": f"Bearer {token['HF_TOKEN']}"} if token else {}
        remote = Remote(endpoint, access.ca_file, headers, FIELD, _Refusal(uri, bool(token)))
        self._api = JsonApi(remote, "the Hugging Face Hub")

    @property
    def uri(self) -> StorageUri:
        """The URI."""
        return self._uri

    def file(self) -> RemoteFile:
        """The file whose name the URI is."""
        parent, _, name = self._path.rpartition("/")
        for entry in self._tree(parent):
            if entry["path"] == self._path and entry["type"] == "file":
                return replace(_remote_file(entry), path="")
        raise DownloadRefusedError(
            f"{self._uri.text}: the directory {parent or 'of the repository'} has no file {name}. "
            f"{_ADVICE['EntryNotFound']}"
        )

    def files(self) -> list[RemoteFile]:
        """The files below the URI. The listing ends when there are more than a model may have."""
        start = f"{self._path}/" if self._path else ""
        entries = self._tree(self._path, "?recursive=true")
        files = (_remote_file(entry) for entry in entries if entry["type"] == "file")
        return [replace(file, path=file.key.removeprefix(start)) for file in islice(files, MAX_FILES + 1)]

    def read(self, file: RemoteFile, offset: int) -> Iterator[bytes]:
        """The content from byte `offset` on."""
        place = self._at(f"{self._repository}/resolve/{self._commit}/{quote(file.key)}")
        return content(place, offset, "the store")

    @cached_property
    def _commit(self) -> str:
        """The commit to which the revision leads now. All files are of it."""
        place = self._at(f"api/models/{self._repository}/revision/{quote(self._revision, safe='')}")
        document, _ = self._api.read(place, dict)
        return str(document["sha"])

    def _tree(self, path: str, query: str = "") -> Iterator[dict[str, Any]]:
        below = f"/{quote(path)}" if path else ""
        url: str | None = f"api/models/{self._repository}/tree/{self._commit}{below}{query}"
        while url is not None:
            entries, headers = self._api.read(self._at(url), list)
            yield from entries
            following = _NEXT_PAGE.search(headers.get("Link") or "")
            url = None if following is None else following[1]

    def _at(self, url: str) -> Remote:
        """Where to get a path of the API or the next page: always at the endpoint, which gets the token."""
        base = f"{self._api.remote.url}/"
        url = urljoin(base, url)
        if urlsplit(url).netloc != urlsplit(base).netloc:
            raise DownloadRefusedError(
                f"{self._api.remote.shown} refers to another server. Correct {FIELD}.endpoint."
            )
        return replace(self._api.remote, url=url)


@dataclass(frozen=True)
class _Refusal:
    """What an error of the Hub means, and what to do."""

    uri: StorageUri
    has_token: bool

    def __call__(self, shown: str, error: HTTPError) -> str:
        code = error.headers.get("X-Error-Code") or ""
        said = ": ".join(filter(None, (code, error.headers.get("X-Error-Message") or words(body_of(error)))))
        return f"{refusal_message(self.uri, shown, error, said)} {self._advice(error.code, code)}"

    def _advice(self, status: int, code: str) -> str:
        if code in _ADVICE:
            return _ADVICE[code]
        if status in (401, 403, 404):
            if self.has_token:
                return f"{_CORRECT_URI} Or give the account of the token in {FIELD}.credentialsFrom access."
            return f"{_CORRECT_URI} If the repository is private, set {FIELD}.credentialsFrom."
        return _CORRECT_URI


def _remote_file(entry: dict[str, Any]) -> RemoteFile:
    large = entry.get("lfs")
    digest = f"git:{entry['oid']}" if large is None else f"sha256:{large['oid']}"
    return RemoteFile(entry["path"], entry["path"], entry["size"], digest, digest)
