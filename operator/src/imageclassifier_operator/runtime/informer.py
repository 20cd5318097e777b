"""kopf as an informer: it lists and watches, keeps the indices, and puts keys into the queue. Nothing else.

No create/update/resume/timer/daemon handlers: those keep their progress in annotations and finalizers of
users' objects, and miss what happens to children.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import kopf

from imageclassifier_operator.api import names
from imageclassifier_operator.api.kinds import WARNINGS, WATCHED, Kind
from imageclassifier_operator.runtime.cache import Cache, key_of
from imageclassifier_operator.runtime.work_queue import Key, WorkQueue


class Informer:
    """kopf's registry for our kinds, and what its handlers feed: the cache and the queue."""

    def __init__(self, queue: WorkQueue) -> None:
        self.registry = kopf.OperatorRegistry()
        self.queue = queue
        self.started = asyncio.Event()
        self.listed = asyncio.Event()
        """Set once the first list of every kind is in the cache. kopf says so only in this way: it holds each
        object's event back until all that was listed is indexed, so the first event is the sign.
        """
        self._cache: Cache | None = None
        kopf.on.login(registry=self.registry)(_login)
        kopf.on.startup(registry=self.registry)(self._startup)
        kopf.on.probe(registry=self.registry, id="queue")(self._probe)
        for kind in WATCHED:
            resource = (kind.group, kind.version, kind.plural)
            kopf.index(*resource, registry=self.registry, id=kind.plural)(_indexer(kind))
            kopf.on.event(*resource, registry=self.registry, id=f"{kind.plural}-changed")(self._changed(kind))

    @property
    def cache(self) -> Cache:
        """What the watches bring; there from the start of kopf on."""
        assert self._cache is not None, "kopf has not started"
        return self._cache

    async def _startup(self, settings: kopf.OperatorSettings, **arguments: Any) -> None:
        settings.posting.enabled = False
        settings.scanning.disabled = True
        settings.watching.chunk_size = 500
        for kind in WATCHED:
            if kind.ours:
                settings.watching.label_selectors[kind.group, kind.version, kind.plural] = (
                    names.CHILDREN_SELECTOR
                )
        settings.watching.field_selectors[WARNINGS.group, WARNINGS.version, WARNINGS.plural] = "type=Warning"
        self._cache = Cache({kind.plural: arguments[kind.plural] for kind in WATCHED})
        self.started.set()

    def _probe(self, **_: Any) -> int:
        return len(self.queue)

    def _changed(self, kind: Kind) -> Any:
        async def changed(type: str | None, body: kopf.Body, **_: Any) -> None:
            self.listed.set()
            key = key_of(kind, body)
            if key is None:
                return
            if type == "DELETED":
                self.cache.deleted(kind, key, body["metadata"]["name"], body["metadata"]["uid"])
            self.queue.add(key)

        return changed


def _indexer(kind: Kind) -> Any:
    async def index(body: kopf.Body, **_: Any) -> Mapping[Key, Mapping[str, Any]]:
        key = key_of(kind, body)
        return {} if key is None else {key: dict(body)}

    return index


def _login(**arguments: Any) -> kopf.ConnectionInfo | None:
    """As the pod's service account, or, outside of a cluster, as the kubeconfig says."""
    return kopf.login_with_service_account(**arguments) or kopf.login_with_kubeconfig(**arguments)
