"""Reads the JSON documents of a store's HTTP API, and begins the message of a refusal."""

from __future__ import annotations

import json
from dataclasses import dataclass
from email.message import Message
from typing import TypeVar
from urllib.error import HTTPError
from urllib.parse import urlsplit

from ..https_client import Remote, open_url
from ..refusal import DownloadRefusedError
from .choice import FIELD
from .store import StorageUri

_MAX_DOCUMENT_BYTES = 32 * 2**20
_Document = TypeVar("_Document")


@dataclass(frozen=True)
class JsonApi:
    """An API at the endpoint of `remote`. `server`: its name in messages, such as `the Hugging Face Hub`."""

    remote: Remote
    server: str

    def read(self, place: Remote, kind: type[_Document]) -> tuple[_Document, Message]:
        """The document of this kind, dict or list, at a place of the API, and the headers of the response.

        Raises DownloadRefusedError if a retry would not help, OSError or HTTPException otherwise.
        """
        with open_url(place, 0) as response:
            headers, text = response.headers, response.read(_MAX_DOCUMENT_BYTES)
        try:
            document = json.loads(text)
        except ValueError:
            document = None
        if not isinstance(document, kind):
            raise DownloadRefusedError(
                f"{self.remote.shown} does not answer as {self.server} does. Correct {FIELD}.endpoint."
            )
        return document, headers


def refusal_message(uri: StorageUri, shown: str, error: HTTPError, said: str) -> str:
    """What the server at the URL `shown` refuses, with its own words `said`. The advice comes after it."""
    words = f": {said.rstrip('. ')}" if said else ""
    return f"{uri.text}: {urlsplit(shown).netloc} responds with {error.code} {error.reason}{words}."
