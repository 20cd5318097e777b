"""The gateway of an ImageClassifier, reached through the API server, which passes requests on to Services."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property

from ..errors import ClientError
from .api import ApiError, Json, Request
from .classifiers import Classifiers


@dataclass(frozen=True)
class Prediction:
    """A prediction, or why there is none."""

    document: Json = field(default_factory=dict)
    error: str = ""


class Gateway:
    """The gateway of the ImageClassifier `name`. `key`: the API key to send, if any."""

    def __init__(self, classifiers: Classifiers, name: str, key: str = "") -> None:
        self._classifiers, self._name = classifiers, name
        self._headers = {"X-API-Key": key} if key else {}

    @property
    def port(self) -> str:
        """The name of the Service's port: http, or https if the gateway serves HTTPS itself."""
        return str(self._port["name"])

    @property
    def url(self) -> str:
        """The URL inside the cluster."""
        host = f"{service_name(self._name)}.{self._classifiers.namespace}.svc"
        return f"{'https' if self.port == 'https' else 'http'}://{host}:{self._port['port']}"

    @cached_property
    def _port(self) -> Json:
        path = self._classifiers.core_path("services", service_name(self._name))
        try:
            service = self._classifiers.api.get(path)
        except ApiError as error:
            raise self._unreachable(error.status, error.reason, error.message) from None
        port: Json = service["spec"]["ports"][0]
        return port

    @cached_property
    def _path(self) -> str:
        scheme = "https:" if self.port == "https" else ""
        service = f"{scheme}{service_name(self._name)}:{self.port}"
        return f"{self._classifiers.core_path('services', service, 'proxy')}/predict"

    def predict(self, picture: bytes) -> Prediction:
        """Classify a picture file."""
        return self._send(picture, "application/octet-stream")

    def predict_url(self, url: str) -> Prediction:
        """Classify the picture behind a URL, which the gateway fetches."""
        return self._send(json.dumps({"url": url}).encode(), "application/json")

    def _send(self, body: bytes, content_type: str) -> Prediction:
        headers = {**self._headers, "Content-Type": content_type, "Accept": "application/json"}
        response = self._classifiers.api.send(Request("POST", self._path, body, headers))
        document = response.document
        if response.status == 200 and document is not None:
            return Prediction(document)
        if document is not None and "detail" in document:  # a problem document of the gateway
            return Prediction(error=f"{document.get('title', 'Error')}: {document['detail']}")
        status = document or {}
        message = str(status.get("message", "")) or response.body.decode(errors="replace").strip()
        raise self._unreachable(response.status, str(status.get("reason", "")), message)

    def _unreachable(self, status: int, reason: str, message: str) -> ClientError:
        """The error of the API server, which did not reach the gateway."""
        if status in (401, 403):
            return self._classifiers.explained(ApiError(status, reason, message))
        why = message.rstrip(".") or f"HTTP status {status}"
        return ClientError(
            f"The gateway of {self._name} does not answer: {why}. The command `why` says more."
        )


def service_name(name: str) -> str:
    """The Service of the gateway of an ImageClassifier."""
    return f"{name}-gateway"
