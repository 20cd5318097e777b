"""The API client: server-side apply, deletes, and the few reads that the watches do not cover.

Every request has a timeout and is counted. An error response is raised as an `ApiError` with the API server's
message.
"""

import asyncio
import json
import os
import random
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config

from imageclassifier_operator import metrics
from imageclassifier_operator.api import names
from imageclassifier_operator.api.json import Json
from imageclassifier_operator.api.kinds import (
    EVENTS,
    FIELD_MANAGER,
    IMAGE_CLASSIFIERS,
    LEASES,
    PODS,
    STATUS_FIELD_MANAGER,
    WARNINGS,
    Kind,
)
from imageclassifier_operator.runtime.work_queue import MAX_BACKOFF_SECONDS, RetryAfterError

REQUEST_TIMEOUT_SECONDS = 15
LIST_CHUNK = 500
OBJECTS_OF_A_PAGE = 200
WATCH_SECONDS = (240, 480)
WATCH_SILENCE_SECONDS = 90
MAX_REQUESTS = 16
"""How many requests are under way at once, beside the watches and the Lease. With more, an API server that is
busy answers each later, and the Lease too late.
"""
MAX_CONNECTIONS = 100
"""The watches, which never end, and the requests of all workers."""
_METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


class ApiError(RetryAfterError):
    """The API server answered with an error, or could not be reached (`status` 0)."""

    def __init__(self, status: int, reason: str, message: str, retry_after_seconds: float = 0.0) -> None:
        super().__init__(f"{status} {reason}: {message}", retry_after_seconds)
        self.status, self.reason, self.message = status, reason, message

    @property
    def namespace_is_terminating(self) -> bool:
        """Whether the namespace is being deleted, or already gone."""
        return (self.status == 403 and "being terminated" in self.message) or (
            self.status == 404 and self.message.startswith("namespaces ")
        )

    @property
    def is_transient(self) -> bool:
        """Whether a retry is all that is needed.

        The API server was unreachable, reported a conflict, or was overloaded: 429, 503 and 504.
        """
        return self.status in (0, 409, 429, 503, 504)

    @property
    def is_refusal(self) -> bool:
        """Whether the API server refuses the object itself, so that a retry does not help."""
        # Server-side apply answers 500 for a field that the schema does not have:
        # https://github.com/kubernetes/kubernetes/issues/118877
        undeclared = self.status == 500 and "failed to create typed patch object" in self.message
        return (self.status in (400, 403, 422) or undeclared) and not self.namespace_is_terminating


@dataclass(frozen=True)
class _Request:
    """One request to the API server. `verb` and `kind` are the labels of its metric."""

    method: str
    path: str
    kind: Kind
    verb: str
    body: Json | list[Json] | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    accept: str = "application/json"


def _apply(verb: str, path: str, kind: Kind, body: Json, field_manager: str) -> _Request:
    """A server-side apply."""
    query = {"fieldManager": field_manager, "force": "true"}
    return _Request(
        "PATCH", path, kind, verb, body=body, query=query, content_type="application/apply-patch+yaml"
    )


def has_fields_of_creation(live: Json) -> bool:
    """Whether the API server lists fields as ours because of our POST, not of an apply."""
    return any(map(_is_of_creation, live["metadata"].get("managedFields") or ()))


def _is_of_creation(entry: Json) -> bool:
    return (entry.get("manager"), entry.get("operation"), entry.get("subresource")) == (
        FIELD_MANAGER,
        "Update",
        None,
    )


def _precondition(basis: Json) -> dict[str, str]:
    """The metadata with which an apply fails if the object is not `basis` any more.

    Both fields are needed. An apply with a resourceVersion alone creates an object that does not exist, and
    a uid alone is ignored by an apply of the status.
    """
    metadata = basis["metadata"]
    return {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}


def _selection(kind: Kind) -> dict[str, str]:
    """The query that selects the objects to be watched."""
    if kind == WARNINGS:
        return {"fieldSelector": "type=Warning"}
    return {"labelSelector": names.CHILDREN_SELECTOR} if kind.ours else {}


@dataclass(frozen=True)
class Page:
    """A page of a list. `version`: the list's resourceVersion. `token`: that of the next page, if any."""

    items: list[dict[str, Any]]
    version: str
    token: str


class KubernetesClient:
    """The client of the API server. `namespace`: the one that is watched, None for all."""

    def __init__(self, client: ApiClient, namespace: str | None) -> None:
        self._client = client
        self._places = asyncio.Semaphore(MAX_REQUESTS)
        self.namespace = namespace
        self.may_write: Callable[[], bool] = lambda: True
        """Asked before every write, except of the Lease: False once another replica may lead."""

    @classmethod
    async def connect(cls, namespace: str | None) -> Self:
        """Connect as the pod's service account or, outside of a cluster, with the kubeconfig."""
        configuration = Configuration()
        try:
            load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        except ConfigException:
            # Passed here because the library reads the variable only once, when it is imported.
            await load_kube_config(
                config_file=os.environ.get("KUBECONFIG"), client_configuration=configuration
            )  # type: ignore[no-untyped-call]
        configuration.connection_pool_maxsize = MAX_CONNECTIONS
        return cls(ApiClient(configuration), namespace)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()  # type: ignore[no-untyped-call]

    async def apply(self, kind: Kind, manifest: Json, basis: Json | None = None) -> dict[str, Any]:
        """Apply one child with server-side apply. Fields of other managers are overwritten.

        With a `basis`, the apply raises ApiError 409 unless the live object is still exactly that one.
        """
        metadata = manifest["metadata"]
        path = kind.path(metadata["namespace"], metadata["name"])
        if basis is not None:
            manifest = {**manifest, "metadata": {**metadata, **_precondition(basis)}}
        return await self._send(_apply("apply", path, kind, manifest, FIELD_MANAGER))

    async def apply_status(self, basis: Json, status: Json) -> dict[str, Any]:
        """Apply the status of an ImageClassifier. Raises ApiError 409 unless it is still exactly `basis`."""
        kind, metadata = IMAGE_CLASSIFIERS, basis["metadata"]
        name, namespace = metadata["name"], metadata["namespace"]
        body = {
            "apiVersion": kind.api_version,
            "kind": kind.kind,
            "metadata": {"name": name, "namespace": namespace, **_precondition(basis)},
            "status": status,
        }
        path = kind.path(namespace, name, "status")
        return await self._send(_apply("apply_status", path, kind, body, STATUS_FIELD_MANAGER))

    async def annotate_pod(self, namespace: str, name: str, annotations: Mapping[str, str]) -> dict[str, Any]:
        """Merge annotations into those of a pod."""
        request = _Request(
            method="PATCH",
            path=PODS.path(namespace, name),
            kind=PODS,
            verb="annotate",
            body={"metadata": {"annotations": dict(annotations)}},
            query={"fieldManager": FIELD_MANAGER},
            content_type="application/merge-patch+json",
        )
        return await self._send(request)

    async def delete(self, kind: Kind, namespace: str, name: str, uid: str) -> None:
        """Delete the object with this uid, and no newer object of the same name. It may be gone already."""
        try:
            body = {"propagationPolicy": "Background", "preconditions": {"uid": uid}}
            await self._send(_Request("DELETE", kind.path(namespace, name), kind, "delete", body=body))
        except ApiError as error:
            if error.status not in (404, 409):
                raise

    async def create_event(self, namespace: str, event: Json) -> None:
        """Post an Event. One with the same name may exist already."""
        try:
            await self._send(_Request("POST", EVENTS.path(namespace), EVENTS, "create", body=event))
        except ApiError as error:
            if error.status != 409:
                raise

    async def read(self, kind: Kind, namespace: str, name: str) -> dict[str, Any] | None:
        """Read one object; None if it does not exist."""
        try:
            return await self._send(_Request("GET", kind.path(namespace, name), kind, "get"))
        except ApiError as error:
            if error.status == 404 and not error.namespace_is_terminating:
                return None
            raise

    async def list_objects(self, kind: Kind, namespace: str) -> list[dict[str, Any]]:
        """List all objects of `kind` in a namespace, also those of others."""
        answer = await self._send(_Request("GET", kind.path(namespace), kind, "list"))
        return list(answer["items"] or ())

    async def create(self, kind: Kind, namespace: str, body: Json) -> dict[str, Any]:
        """Create an object. Raises ApiError 409 if one of this name exists."""
        query = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}
        return await self._send(
            _Request("POST", kind.path(namespace), kind, "create", body=body, query=query)
        )

    async def find(self, kind: Kind, namespace: str, name: str) -> dict[str, Any] | None:
        """One object by its name, from a list, which needs no right that the watches do not need."""
        query = {"fieldSelector": f"metadata.name={name}"}
        answer = await self._send(_Request("GET", kind.path(namespace), kind, "list", query=query))
        found = next(iter(answer["items"]), None)
        return None if found is None else {"apiVersion": kind.api_version, "kind": kind.kind, **found}

    async def claim_fields(self, kind: Kind, live: Json) -> dict[str, Any]:
        """Let the next apply remove fields that `live` has from its creation, which was no apply.

        The API server tells the fields of a create apart from those of an apply, although the manager is the
        same. Raises ApiError 409 if the object has changed.
        """
        metadata = live["metadata"]
        fields = metadata["managedFields"]
        created = next(index for index, entry in enumerate(fields) if _is_of_creation(entry))
        path = f"/metadata/managedFields/{created}"
        if any(entry.get("manager") == FIELD_MANAGER and entry["operation"] == "Apply" for entry in fields):
            change = {"op": "remove", "path": path}
        else:
            change = {"op": "replace", "path": f"{path}/operation", "value": "Apply"}
        return await self._change(kind, live, [change], "claim")

    async def remove_fields(self, kind: Kind, live: Json, pointers: Iterable[str]) -> dict[str, Any]:
        """Remove the fields at these JSON pointers. Raises ApiError 409 if the object has changed."""
        changes: list[Json] = [{"op": "remove", "path": pointer} for pointer in pointers]
        return await self._change(kind, live, changes, "remove")

    async def _change(self, kind: Kind, live: Json, changes: list[Json], verb: str) -> dict[str, Any]:
        """A JSON patch of exactly `live`."""
        metadata = live["metadata"]
        version = {"op": "replace", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]}
        request = _Request(
            method="PATCH",
            path=kind.path(metadata["namespace"], metadata["name"]),
            kind=kind,
            verb=verb,
            body=[version, *changes],
            query={"fieldManager": FIELD_MANAGER},
            content_type="application/json-patch+json",
        )
        return await self._send(request)

    async def replace(self, kind: Kind, namespace: str, body: Json) -> dict[str, Any]:
        """Replace an object. Raises ApiError 409 if it has changed since `body` was read."""
        path = kind.path(namespace, body["metadata"]["name"])
        return await self._send(_Request("PUT", path, kind, "update", body=body))

    async def list_uids(self, kind: Kind) -> set[str]:
        """The uids of all watched objects of `kind`, listed in pages and without their content."""
        uids: set[str] = set()
        token = ""
        while True:
            answer = await self._list(kind, token, LIST_CHUNK, _METADATA_LIST)
            uids.update(item["metadata"]["uid"] for item in answer["items"] or ())
            token = answer["metadata"].get("continue") or ""
            if not token:
                return uids

    async def list_page(self, kind: Kind, token: str) -> Page:
        """One page of the list of all watched objects of `kind`, with the token of the page before."""
        answer = await self._list(kind, token, OBJECTS_OF_A_PAGE)
        metadata, about = answer["metadata"], {"apiVersion": kind.api_version, "kind": kind.kind}
        items = [{**about, **item} for item in answer["items"] or ()]
        return Page(items, metadata["resourceVersion"], metadata.get("continue") or "")

    async def _list(
        self, kind: Kind, token: str, limit: int, accept: str = "application/json"
    ) -> dict[str, Any]:
        query = {"limit": str(limit), **_selection(kind)}
        if token:
            query["continue"] = token
        path = kind.path(self.namespace)
        return await self._send(_Request("GET", path, kind, "list", query=query, accept=accept))

    async def watch(self, kind: Kind, version: str) -> AsyncGenerator[dict[str, Any], None]:
        """The events of all watched objects of `kind` since `version`, until the API server ends the watch.

        The API server sends bookmarks when nothing happens. A connection without any is broken.
        """
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(random.randint(*WATCH_SECONDS)),  # noqa: S311 - jitter is not a secret
            **_selection(kind),
        }
        request = _Request("GET", kind.path(self.namespace), kind, "watch", query=query)
        limits = aiohttp.ClientTimeout(
            total=None, sock_connect=REQUEST_TIMEOUT_SECONDS, sock_read=WATCH_SILENCE_SECONDS
        )
        response = None
        try:
            response = await self._call(request, limits)
            if response.status != 200:
                raise _error(response.status, response.reason or "", await response.read())
            unfinished = b""
            async for chunk in response.response.content.iter_any():
                *lines, unfinished = (unfinished + chunk).split(b"\n")
                for line in lines:
                    yield json.loads(line)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ApiError(0, "Unreachable", f"the watch broke: {error!r}") from error
        finally:
            if response is not None:
                response.response.close()

    async def _call(self, request: _Request, limits: aiohttp.ClientTimeout) -> Any:
        """The response, whose body is not read yet."""
        serialized = await self._client.param_serialize(
            request.method,
            request.path,
            query_params=list(request.query.items()),
            header_params={"Accept": request.accept, "Content-Type": request.content_type},
            body=request.body,
            auth_settings=["BearerToken"],
        )
        if request.method != "GET" and request.kind is not LEASES and not self.may_write():
            raise ApiError(0, "LeaseExpired", "nothing was written, because another replica may lead now")
        return await self._client.call_api(*serialized, _request_timeout=limits)

    async def _send(self, request: _Request) -> dict[str, Any]:
        if request.kind is LEASES:
            return await self._send_now(request)
        async with self._places:
            return await self._send_now(request)

    async def _send_now(self, request: _Request) -> dict[str, Any]:
        kind, verb = request.kind.kind, request.verb
        try:
            response = await self._call(request, aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_SECONDS))
            data = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            metrics.API_REQUESTS.labels(verb, kind, "unreachable").inc()
            raise ApiError(0, "Unreachable", f"the API server cannot be reached: {error!r}") from error
        metrics.API_REQUESTS.labels(verb, kind, str(response.status)).inc()
        if 200 <= response.status < 300:
            answer: dict[str, Any] = json.loads(data)
            return answer
        refused = _error(response.status, response.reason or "", data)
        refused.retry_after_seconds = _seconds(response.headers.get("Retry-After", ""))
        raise refused


def _seconds(retry_after: str) -> float:
    """The header Retry-After in seconds. The API server never sends a date."""
    return min(float(retry_after), MAX_BACKOFF_SECONDS) if retry_after.isdigit() else 0.0


def _error(status: int, reason: str, data: bytes) -> ApiError:
    try:
        said = json.loads(data)
        return ApiError(status, said.get("reason", reason), said.get("message", ""))
    except (ValueError, AttributeError):
        return ApiError(status, reason, data[:200].decode(errors="replace"))
