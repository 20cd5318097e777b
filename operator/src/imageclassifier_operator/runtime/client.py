"""The API client: server-side apply, deletes, lists and watches, and reads that the watches do not cover."""

import random
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import aiohttp
import orjson

from imageclassifier_operator.api import names
from imageclassifier_operator.api.json import Json
from imageclassifier_operator.api.kinds import (
    EVENTS,
    FIELD_MANAGER,
    IMAGE_CLASSIFIERS,
    PODS,
    STATUS_FIELD_MANAGER,
    WARNINGS,
    Kind,
)
from imageclassifier_operator.runtime.api_error import ApiError
from imageclassifier_operator.runtime.fields_of_creation import claim
from imageclassifier_operator.runtime.transport import REQUEST_TIMEOUT_SECONDS, Request, Transport

LIST_CHUNK = 500
OBJECTS_OF_A_PAGE = 200
WATCH_SECONDS = (240, 480)
WATCH_SILENCE_SECONDS = 90
_METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


def _apply(verb: str, path: str, kind: Kind, body: Json, field_manager: str) -> Request:
    """A server-side apply."""
    query = {"fieldManager": field_manager, "force": "true"}
    return Request(
        "PATCH", path, kind, verb, body=body, query=query, content_type="application/apply-patch+yaml"
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

    def __init__(self, transport: Transport, namespace: str | None) -> None:
        self._transport = transport
        self.namespace = namespace

    @classmethod
    async def connect(cls, namespace: str | None) -> Self:
        """Connect as the pod's service account or, outside of a cluster, with the kubeconfig."""
        return cls(await Transport.connect(), namespace)

    def write_only_while(self, may_write: Callable[[], bool]) -> None:
        """Refuse each write, except of the Lease, while `may_write` is False."""
        self._transport.may_write = may_write

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.close()

    async def apply(self, kind: Kind, manifest: Json, basis: Json | None = None) -> dict[str, Any]:
        """Apply one child with server-side apply. Fields of other managers are overwritten.

        With a `basis`, the apply raises ApiError 409 unless the live object is still exactly that one.
        """
        metadata = manifest["metadata"]
        path = kind.path(metadata["namespace"], metadata["name"])
        if basis is not None:
            manifest = {**manifest, "metadata": {**metadata, **_precondition(basis)}}
        return await self._transport.send(_apply("apply", path, kind, manifest, FIELD_MANAGER))

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
        return await self._transport.send(_apply("apply_status", path, kind, body, STATUS_FIELD_MANAGER))

    async def annotate_pod(self, namespace: str, name: str, annotations: Mapping[str, str]) -> dict[str, Any]:
        """Merge annotations into those of a pod."""
        request = Request(
            method="PATCH",
            path=PODS.path(namespace, name),
            kind=PODS,
            verb="annotate",
            body={"metadata": {"annotations": dict(annotations)}},
            query={"fieldManager": FIELD_MANAGER},
            content_type="application/merge-patch+json",
        )
        return await self._transport.send(request)

    async def delete(self, kind: Kind, namespace: str, name: str, uid: str) -> None:
        """Delete the object with this uid, and no newer object of the same name. It may be gone already."""
        try:
            body = {"propagationPolicy": "Background", "preconditions": {"uid": uid}}
            await self._transport.send(
                Request("DELETE", kind.path(namespace, name), kind, "delete", body=body)
            )
        except ApiError as error:
            if error.status not in (404, 409):
                raise

    async def create_event(self, namespace: str, event: Json) -> None:
        """Post an Event. One with the same name may exist already."""
        try:
            await self._transport.send(Request("POST", EVENTS.path(namespace), EVENTS, "create", body=event))
        except ApiError as error:
            if error.status != 409:
                raise

    async def read(self, kind: Kind, namespace: str, name: str) -> dict[str, Any] | None:
        """Read one object; None if it does not exist."""
        try:
            return await self._transport.send(Request("GET", kind.path(namespace, name), kind, "get"))
        except ApiError as error:
            if error.status == 404 and not error.namespace_is_terminating:
                return None
            raise

    async def list_objects(self, kind: Kind, namespace: str) -> list[dict[str, Any]]:
        """List all objects of `kind` in a namespace, also those of others."""
        answer = await self._transport.send(Request("GET", kind.path(namespace), kind, "list"))
        return list(answer["items"] or ())

    async def create(self, kind: Kind, namespace: str, body: Json) -> dict[str, Any]:
        """Create an object. Raises ApiError 409 if one of this name exists."""
        query = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}
        return await self._transport.send(
            Request("POST", kind.path(namespace), kind, "create", body=body, query=query)
        )

    async def find(self, kind: Kind, namespace: str, name: str) -> dict[str, Any] | None:
        """One object by its name, from a list, which needs no right that the watches do not need."""
        query = {"fieldSelector": f"metadata.name={name}"}
        answer = await self._transport.send(Request("GET", kind.path(namespace), kind, "list", query=query))
        found = next(iter(answer["items"]), None)
        return None if found is None else {"apiVersion": kind.api_version, "kind": kind.kind, **found}

    async def claim_fields(self, kind: Kind, live: Json) -> dict[str, Any]:
        """Let the next apply remove fields that `live` has from its creation, which was no apply.

        Raises ApiError 409 if the object has changed.
        """
        return await self._change(kind, live, [claim(live)], "claim")

    async def remove_fields(self, kind: Kind, live: Json, pointers: Iterable[str]) -> dict[str, Any]:
        """Remove the fields at these JSON pointers. Raises ApiError 409 if the object has changed."""
        changes: list[Json] = [{"op": "remove", "path": pointer} for pointer in pointers]
        return await self._change(kind, live, changes, "remove")

    async def _change(self, kind: Kind, live: Json, changes: list[Json], verb: str) -> dict[str, Any]:
        """A JSON patch of exactly `live`."""
        metadata = live["metadata"]
        version = {"op": "replace", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]}
        request = Request(
            method="PATCH",
            path=kind.path(metadata["namespace"], metadata["name"]),
            kind=kind,
            verb=verb,
            body=[version, *changes],
            query={"fieldManager": FIELD_MANAGER},
            content_type="application/json-patch+json",
        )
        return await self._transport.send(request)

    async def replace(self, kind: Kind, namespace: str, body: Json) -> dict[str, Any]:
        """Replace an object. Raises ApiError 409 if it has changed since `body` was read."""
        path = kind.path(namespace, body["metadata"]["name"])
        return await self._transport.send(Request("PUT", path, kind, "update", body=body))

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
        return await self._transport.send(Request("GET", path, kind, "list", query=query, accept=accept))

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
        request = Request("GET", kind.path(self.namespace), kind, "watch", query=query)
        limits = aiohttp.ClientTimeout(
            total=None, sock_connect=REQUEST_TIMEOUT_SECONDS, sock_read=WATCH_SILENCE_SECONDS
        )
        response = None
        try:
            response = await self._transport.call(request, limits)
            if response.status != 200:
                raise ApiError.of_response(response.status, response.reason or "", await response.read())
            unfinished = b""
            async for chunk in response.response.content.iter_any():
                *lines, unfinished = (unfinished + chunk).split(b"\n")
                for line in lines:
                    yield orjson.loads(line)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ApiError(0, "Unreachable", f"the watch broke: {error!r}") from error
        finally:
            if response is not None:
                response.response.close()
