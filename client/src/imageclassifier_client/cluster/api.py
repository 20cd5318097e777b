"""Requests to the API server over the socket of `kubectl proxy`."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from ..errors import ClientError

_TIMEOUT_SECONDS = 60
_FIELD_MANAGER = "kubectl-imageclassifier"

Json = dict[str, Any]


class ApiError(Exception):
    """The API server refused a request. `reason` is that of Kubernetes, such as NotFound."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason, self.message = status, reason, message


@dataclass(frozen=True)
class Request:
    """A request. `query`: the parameters after the path."""

    method: str
    path: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)

    @property
    def target(self) -> str:
        """The path with its query."""
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path


@dataclass(frozen=True)
class Response:
    """A response: its status, its Content-Type and its body."""

    status: int
    content_type: str
    body: bytes

    @property
    def document(self) -> Json | None:
        """The JSON object in the body; None if there is none."""
        try:
            document = json.loads(self.body)
        except ValueError:
            return None
        return document if isinstance(document, dict) else None


class _Connection(HTTPConnection):
    """HTTP over a Unix socket. kubectl answers only requests for localhost."""

    def __init__(self, path: Path, timeout: float | None) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Api:
    """The API server. `server`: its name in messages."""

    def __init__(self, path: Path, server: str) -> None:
        self._path, self._server = path, server

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Json:
        """Read an object or a list."""
        return self._json(Request("GET", path, query=query or {}))

    def patch(self, path: str, body: Json) -> Json:
        """Change fields of an object with a merge patch."""
        headers = {"Content-Type": "application/merge-patch+json"}
        query = {"fieldManager": _FIELD_MANAGER, "fieldValidation": "Strict"}
        return self._json(Request("PATCH", path, json.dumps(body).encode(), headers, query))

    def create(self, path: str, body: Json) -> Json:
        """Create an object, and return it as the API server has stored it."""
        headers = {"Content-Type": "application/json"}
        query = {"fieldManager": _FIELD_MANAGER, "fieldValidation": "Strict"}
        return self._json(Request("POST", path, json.dumps(body).encode(), headers, query))

    def send(self, request: Request) -> Response:
        """Send a request and read the whole response, also if it is an error."""
        with self._open(request, _TIMEOUT_SECONDS) as response:
            return self._read(response)

    def lines(self, path: str, query: Mapping[str, str]) -> Iterator[str]:
        """Read a response line by line, as it arrives: a log or a watch."""
        with self._open(Request("GET", path, query=query), None) as response:
            if response.status != 200:
                raise self._error(self._read(response))
            for line in response:
                yield line.decode(errors="replace").rstrip("\n")

    def _json(self, request: Request) -> Json:
        response = self.send(request)
        document = response.document
        if not 200 <= response.status < 300 or document is None:
            raise self._error(response)
        return document

    @contextlib.contextmanager
    def _open(self, request: Request, timeout: float | None) -> Iterator[HTTPResponse]:
        with contextlib.closing(_Connection(self._path, timeout)) as connection:
            try:
                # A server that refuses a request answers before it has read a large body, and reads no more.
                with contextlib.suppress(BrokenPipeError):
                    connection.request(request.method, request.target, request.body, dict(request.headers))
                response = connection.getresponse()
            except (OSError, HTTPException) as error:
                raise self._unreachable(str(error) or type(error).__name__) from None
            yield response

    def _read(self, response: HTTPResponse) -> Response:
        try:
            body = response.read()
        except (OSError, HTTPException) as error:
            raise self._unreachable(str(error) or type(error).__name__) from None
        return Response(response.status, response.getheader("Content-Type", ""), body)

    def _error(self, response: Response) -> ApiError | ClientError:
        status = response.document
        if status is not None and status.get("kind") == "Status":
            return ApiError(response.status, status.get("reason", ""), status.get("message", ""))
        text = response.body.decode(errors="replace").strip()
        if response.status >= 500:  # not of the API server: kubectl could not reach it
            return self._unreachable(text)
        return ApiError(response.status, "", text)

    def _unreachable(self, why: str) -> ClientError:
        return ClientError(
            f"The API server {self._server} does not answer: {why}. Check the connection, or choose another "
            "cluster with --context."
        )
