"""The informer: kopf lists and watches, keeps the indices, and its event handlers add keys to the work queue.

kopf's handlers for create, update, resume, timers and daemons are not used. They store their progress in
annotations and finalizers of users' objects, and do not see what happens to children.
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
    """kopf's registry for our kinds, whose handlers fill the cache and the work queue."""

    def __init__(self, queue: WorkQueue) -> None:
        self.registry = kopf.OperatorRegistry()
        self.queue = queue
        self.started = asyncio.Event()
        self.listed = asyncio.Event()
        """Set once the first list of every kind is in the cache. kopf delays the event of each object until
        all listed objects are indexed, so the first event is the sign.
        """
        self._cache: Cache | None = None
        kopf.on.login(registry=self.registry)(_login)
        kopf.on.startup(registry=self.registry)(self._startup)
        for kind in WATCHED:
            resource = (kind.group, kind.version, kind.plural)
            kopf.index(*resource, registry=self.registry, id=kind.plural)(_indexer(kind))
            kopf.on.event(*resource, registry=self.registry, id=f"{kind.plural}-changed")(
                self._event_handler(kind)
            )

    @property
    def cache(self) -> Cache:
        """The cache. It exists once kopf has started."""
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

    def _event_handler(self, kind: Kind) -> Any:
        async def handle(type: str | None, body: kopf.Body, **_: Any) -> None:
            self.listed.set()
            key = key_of(kind, body)
            if key is None:
                return
            if type == "DELETED":
                self.cache.record_deletion(kind, key, body["metadata"]["name"], body["metadata"]["uid"])
            else:
                self.cache.record_event(kind, body["metadata"]["uid"])
            self.queue.add(key)

        return handle


def _indexer(kind: Kind) -> Any:
    async def index(body: kopf.Body, **_: Any) -> Mapping[Key, Mapping[str, Any]]:
        key = key_of(kind, body)
        return {} if key is None else {key: dict(body)}

    return index


def _login(**arguments: Any) -> kopf.ConnectionInfo | None:
    """Log in as the pod's service account or, outside of a cluster, with the kubeconfig."""
    return kopf.login_with_service_account(**arguments) or kopf.login_with_kubeconfig(**arguments)
