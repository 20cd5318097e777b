"""The ImageClassifiers of a namespace and their pods, with errors that name what exists and what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..errors import ClientError
from .api import Api, ApiError, Json

GROUP = "imageclassifier.dev"
VERSION = "v1alpha1"
PLURAL = "imageclassifiers"
PROMOTE_ANNOTATION = f"{GROUP}/promote"
RETRY_ANNOTATION = f"{GROUP}/retry"

_WATCH_SECONDS = "300"


@dataclass(frozen=True)
class Classifiers:
    """The ImageClassifiers of one namespace. `context`: the name of the kubeconfig's context."""

    api: Api
    namespace: str
    context: str = ""

    def read(self, name: str) -> Json:
        """Read one ImageClassifier."""
        try:
            return self.api.get(self._path(name))
        except ApiError as error:
            if error.status == 404 and error.reason == "NotFound":
                raise ClientError(self._missing(name)) from None
            raise self.explained(error) from None

    def read_all(self, *, everywhere: bool = False) -> list[Json]:
        """Read all ImageClassifiers of the namespace, or of all namespaces."""
        return self.items(f"/apis/{GROUP}/{VERSION}/{PLURAL}" if everywhere else self._path())

    def change(self, name: str, body: Json) -> Json:
        """Change fields of one ImageClassifier."""
        try:
            return self.api.patch(self._path(name), body)
        except ApiError as error:
            raise self.explained(error) from None

    def pods(self, name: str) -> list[Json]:
        """Read the pods of one ImageClassifier."""
        return self.items(self.core_path("pods"), pod_selection(name))

    def items(self, path: str, query: Mapping[str, str] | None = None) -> list[Json]:
        """Read the objects of a list."""
        try:
            return list(self.api.get(path, query).get("items") or ())
        except ApiError as error:
            raise self.explained(error) from None

    def changes(self, name: str) -> Iterator[None]:
        """Yield each time when the ImageClassifier changes, for some minutes."""
        return self._changes(self._path(), {"fieldSelector": f"metadata.name={name}"})

    def pod_changes(self, name: str) -> Iterator[None]:
        """Yield each time when a pod of the ImageClassifier changes, for some minutes."""
        return self._changes(self.core_path("pods"), pod_selection(name))

    def core_path(self, plural: str, name: str = "", subresource: str = "") -> str:
        """The URL path of a kind of the core API in the namespace."""
        parts = (f"/api/v1/namespaces/{self.namespace}/{plural}", name, subresource)
        return "/".join(part for part in parts if part)

    def _changes(self, path: str, selection: Mapping[str, str]) -> Iterator[None]:
        query = {**selection, "watch": "true", "timeoutSeconds": _WATCH_SECONDS}
        try:
            for line in self.api.lines(path, query):
                if json.loads(line).get("type") == "ERROR":
                    return  # the caller watches again
                yield
        except ApiError as error:
            raise self.explained(error) from None

    def _path(self, name: str = "") -> str:
        path = f"/apis/{GROUP}/{VERSION}/namespaces/{self.namespace}/{PLURAL}"
        return f"{path}/{name}" if name else path

    def _missing(self, name: str) -> str:
        present = [each["metadata"]["name"] for each in self.read_all()]
        what = f"There is no ImageClassifier {name} in namespace {self.namespace}"
        if present:
            return f"{what}, only {', '.join(present)}."
        return f"{what}, and no other. Choose the namespace with --namespace, or list all with `status -A`."

    def explained(self, error: ApiError) -> ClientError:
        """The sentence for a refused request: what is wrong, and what to do."""
        if error.status == 401:
            return ClientError(
                f"The cluster does not accept your credentials (context {self.context or 'none'}). Sign in "
                f"again, or choose another context with --context."
            )
        if error.status == 403:
            return ClientError(
                f"{error.message}. Ask an administrator for the role view or edit in this namespace."
            )
        if error.status == 404 and not error.reason:
            return ClientError(
                f"The cluster (context {self.context or 'none'}) does not know ImageClassifiers: their CRD "
                f"is not installed. Install the operator (docs/install.md), or choose another cluster with "
                f"--context."
            )
        message = error.message or f"HTTP status {error.status}"
        return ClientError(f"The API server refuses this: {message}")


def pod_selection(name: str) -> dict[str, str]:
    """The query that selects the pods of one ImageClassifier."""
    labels = {"app.kubernetes.io/name": "imageclassifier", "app.kubernetes.io/instance": name}
    return {"labelSelector": ",".join(f"{key}={value}" for key, value in labels.items())}
