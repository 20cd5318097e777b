"""The only door to the API server: server-side apply, deletes, and the few reads beside the watches.

Requests are small and have a deadline; every one is counted. What the API server refuses comes out as an
`ApiError` with its own words.
"""

import json
import os
from collections.abc import Mapping
from typing import Any, Self

import aiohttp
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config

from imageclassifier_operator import metrics
from imageclassifier_operator.api import names
from imageclassifier_operator.api.kinds import (
    EVENTS,
    FIELD_MANAGER,
    IMAGE_CLASSIFIERS,
    PODS,
    STATUS_FIELD_MANAGER,
    Kind,
)

Json = Mapping[str, Any]

REQUEST_TIMEOUT_SECONDS = 15
LIST_CHUNK = 500


class ApiError(Exception):
    """The API server said no, or could not be reached (`status` 0)."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status, self.reason, self.message = status, reason, message

    @property
    def namespace_is_going(self) -> bool:
        return (self.status == 403 and "being terminated" in self.message) or (
            self.status == 404 and self.message.startswith("namespaces ")
        )

    @property
    def is_answer(self) -> bool:
        """Whether the API server had something to say: it was reached, and not just asked to look again."""
        return self.status not in (0, 409)

    @property
    def is_refusal(self) -> bool:
        """Whether the object itself is refused: to send it again would not help."""
        # Server-side apply calls a field that the schema has not an error of its own, a 500:
        # https://github.com/kubernetes/kubernetes/issues/118877
        undeclared = self.status == 500 and "failed to create typed patch object" in self.message
        return (self.status in (400, 403, 422) or undeclared) and not self.namespace_is_going


class Cluster:
    """A connection to the API server. `namespace` is the one that is watched, None for all."""

    def __init__(self, client: ApiClient, namespace: str | None) -> None:
        self._client = client
        self.namespace = namespace

    @classmethod
    async def connect(cls, namespace: str | None) -> Self:
        """As the pod's service account, or, outside of a cluster, as the kubeconfig says."""
        configuration = Configuration()
        try:
            load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        except ConfigException:
            # Named here: the library reads the variable only once, when it is imported.
            await load_kube_config(
                config_file=os.environ.get("KUBECONFIG"), client_configuration=configuration
            )  # type: ignore[no-untyped-call]
        return cls(ApiClient(configuration), namespace)

    async def close(self) -> None:
        await self._client.close()  # type: ignore[no-untyped-call]

    async def apply(self, kind: Kind, manifest: Json) -> dict[str, Any]:
        """Server-side apply of one child. Fields that others hold with another value are taken back."""
        metadata = manifest["metadata"]
        path = kind.path(metadata["namespace"], metadata["name"])
        return await self._request(
            "PATCH",
            path,
            kind,
            "apply",
            body=manifest,
            query={"fieldManager": FIELD_MANAGER, "force": "true"},
            content_type="application/apply-patch+yaml",
        )

    async def apply_status(self, namespace: str, name: str, status: Json) -> dict[str, Any]:
        return await self._request(
            "PATCH",
            IMAGE_CLASSIFIERS.path(namespace, name, "status"),
            IMAGE_CLASSIFIERS,
            "apply_status",
            body={
                "apiVersion": IMAGE_CLASSIFIERS.api_version,
                "kind": IMAGE_CLASSIFIERS.kind,
                "metadata": {"name": name, "namespace": namespace},
                "status": status,
            },
            query={"fieldManager": STATUS_FIELD_MANAGER, "force": "true"},
            content_type="application/apply-patch+yaml",
        )

    async def annotate_pod(self, namespace: str, name: str, annotations: Mapping[str, str]) -> dict[str, Any]:
        return await self._request(
            "PATCH",
            PODS.path(namespace, name),
            PODS,
            "annotate",
            body={"metadata": {"annotations": dict(annotations)}},
            query={"fieldManager": FIELD_MANAGER},
            content_type="application/merge-patch+json",
        )

    async def delete(self, kind: Kind, namespace: str, name: str, uid: str) -> None:
        """Delete exactly this object, not another that has taken its name since. One that is gone is fine."""
        try:
            await self._request(
                "DELETE",
                kind.path(namespace, name),
                kind,
                "delete",
                body={"propagationPolicy": "Background", "preconditions": {"uid": uid}},
            )
        except ApiError as error:
            if error.status not in (404, 409):
                raise

    async def create_event(self, namespace: str, event: Json) -> None:
        """Post a Kubernetes Event; one that is there already (the name tells) is fine."""
        try:
            await self._request("POST", EVENTS.path(namespace), EVENTS, "create", body=event)
        except ApiError as error:
            if error.status != 409:
                raise

    async def read(self, kind: Kind, namespace: str, name: str) -> dict[str, Any] | None:
        try:
            return await self._request("GET", kind.path(namespace, name), kind, "get")
        except ApiError as error:
            if error.status == 404 and not error.namespace_is_going:
                return None
            raise

    async def create(self, kind: Kind, namespace: str, body: Json) -> dict[str, Any]:
        return await self._request("POST", kind.path(namespace), kind, "create", body=body)

    async def replace(self, kind: Kind, namespace: str, body: Json) -> dict[str, Any]:
        """Replace an object, unless it has changed since `body` was read (409)."""
        return await self._request(
            "PUT", kind.path(namespace, body["metadata"]["name"]), kind, "update", body=body
        )

    async def list_uids(self, kind: Kind) -> set[str]:
        """The uids of all objects of `kind` that we watch; metadata only, in chunks."""
        uids: set[str] = set()
        query: dict[str, str] = {"limit": str(LIST_CHUNK)}
        if kind.ours:
            query["labelSelector"] = names.CHILDREN_SELECTOR
        while True:
            answer = await self._request(
                "GET",
                kind.path(self.namespace),
                kind,
                "list",
                query=query,
                accept="application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
            )
            uids.update(item["metadata"]["uid"] for item in answer["items"] or ())
            token = answer["metadata"].get("continue")
            if not token:
                return uids
            query["continue"] = token

    async def _request(
        self,
        method: str,
        path: str,
        kind: Kind,
        verb: str,
        *,
        body: Json | None = None,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> dict[str, Any]:
        request = await self._client.param_serialize(
            method,
            path,
            query_params=list((query or {}).items()),
            header_params={"Accept": accept, "Content-Type": content_type},
            body=body,
            auth_settings=["BearerToken"],
        )
        try:
            response = await self._client.call_api(*request, _request_timeout=REQUEST_TIMEOUT_SECONDS)
            data = await response.read()  # type: ignore[no-untyped-call]
        except (aiohttp.ClientError, TimeoutError) as error:
            metrics.API_REQUESTS.labels(verb, kind.kind, "unreachable").inc()
            raise ApiError(0, "Unreachable", f"the API server cannot be reached: {error!r}") from error
        metrics.API_REQUESTS.labels(verb, kind.kind, str(response.status)).inc()
        if 200 <= response.status < 300:
            answer: dict[str, Any] = json.loads(data)
            return answer
        raise _error(response.status, response.reason or "", data)


def _error(status: int, reason: str, data: bytes) -> ApiError:
    try:
        said = json.loads(data)
        return ApiError(status, said.get("reason", reason), said.get("message", ""))
    except (ValueError, AttributeError):
        return ApiError(status, reason, data[:200].decode(errors="replace"))
