"""The cluster's API through `kubectl proxy`: objects, watches, and the pods' own HTTP servers."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from laptop.cluster_state import LAPTOP
from laptop.kubernetes_programs import kubectl_program

Json = dict[str, Any]

GROUP = "/apis/imageclassifier.dev/v1alpha1"


class ApiError(Exception):
    """The API server, or a pod behind it, refused a request; the text is its response."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text[:500]}")
        self.status = status


class Api:
    """The API of the laptop cluster. May be used by many threads at once; each has its own connection."""

    def __enter__(self) -> Api:
        self._proxy = subprocess.Popen(
            [kubectl_program(), f"--context={LAPTOP.context}", "proxy", "--port=0"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._proxy.stdout is not None
        found = re.search(r"127\.0\.0\.1:(\d+)", self._proxy.stdout.readline())
        if found is None:
            raise SystemExit("kubectl proxy does not start: is the cluster up (`make cluster`)?")
        self._port, self._local = int(found[1]), threading.local()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._proxy.terminate()
        self._proxy.wait()

    def get(self, path: str) -> Json:
        answer: Json = json.loads(self.get_text(path))
        return answer

    def get_text(self, path: str) -> str:
        return self._ask("GET", path)

    def find(self, path: str) -> Json | None:
        """The object; None if it does not exist."""
        try:
            return self.get(path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def create(self, path: str, body: Json) -> None:
        self._ask("POST", path, body)

    def patch(self, path: str, body: Any, kind: str = "application/merge-patch+json") -> None:
        self._ask("PATCH", path, body, kind)

    def delete(self, path: str) -> None:
        """Delete an object if it exists."""
        try:
            self._ask("DELETE", path)
        except ApiError as error:
            if error.status != 404:
                raise

    def watch(self, path: str) -> Iterator[Json]:
        """The events of a watch, until the server ends it."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port)
        try:
            connection.request("GET", path)
            for line in connection.getresponse():
                yield json.loads(line)
        finally:
            connection.close()

    def _ask(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> str:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
            self._local.connection = connection
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, {"Content-Type": kind})
            response = connection.getresponse()
            text: str = response.read().decode()
        except (OSError, http.client.HTTPException):
            connection.close()
            self._local.connection = None
            raise
        if response.status >= 300:
            raise ApiError(response.status, text)
        return text
