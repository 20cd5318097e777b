"""The informer: it fills the cache, and adds the keys of what has changed to the work queue.

kopf lists and watches ImageClassifiers. Its handlers for create, update, resume, timers and daemons are not
used: they store their progress in annotations and finalizers of users' objects, and do not see what happens
to children. Nor are its indices: at a start, each object that is indexed wakes all others, which took more
than 100 s of CPU time for 5,000.

Reflectors of our own list and watch the children, pods and warnings, of which there are many more. kopf would
start a task for each of them, keep them as parsed JSON, and keep those that vanish while a watch is broken.
"""

import asyncio
from typing import Any

import kopf

from imageclassifier_operator.api.json import Json
from imageclassifier_operator.api.kinds import CONFIG_MAPS, IMAGE_CLASSIFIERS, WATCHED, Kind
from imageclassifier_operator.runtime.cache import Cache, key_of
from imageclassifier_operator.runtime.client import KubernetesClient
from imageclassifier_operator.runtime.reflector import Listener, Reflector
from imageclassifier_operator.runtime.store import Removed, Store
from imageclassifier_operator.runtime.work_queue import Key, WorkQueue

REFLECTED = tuple(kind for kind in WATCHED if kind != IMAGE_CLASSIFIERS)


class Informer:
    """kopf's registry for ImageClassifiers, and the reflectors of all other kinds."""

    def __init__(self, queue: WorkQueue) -> None:
        self.registry = kopf.OperatorRegistry()
        self.queue = queue
        self.started = asyncio.Event()
        self.children_listed = asyncio.Event()
        """Set once the first list of every kind but ImageClassifiers is in the cache."""
        self._stores = {kind.plural: Store(kind) for kind in WATCHED}
        self._classifiers = self._stores[IMAGE_CLASSIFIERS.plural]
        self._cache: Cache | None = None
        resource = (IMAGE_CLASSIFIERS.group, IMAGE_CLASSIFIERS.version, IMAGE_CLASSIFIERS.plural)
        kopf.on.login(registry=self.registry)(_login)
        kopf.on.startup(registry=self.registry)(self._startup)
        kopf.on.event(*resource, registry=self.registry, id="changed")(self._handle_event)

    @property
    def cache(self) -> Cache:
        """The cache. It exists once kopf has started."""
        assert self._cache is not None, "kopf has not started"
        return self._cache

    async def reflect(self, client: KubernetesClient) -> None:
        """Run the reflectors until cancelled."""
        await self.started.wait()
        listener = Listener(self.queue.add, self.cache.record_event, self._removed, self._is_own_write)
        pages = asyncio.Lock()
        reflectors = [
            Reflector(client, kind, self._stores[kind.plural], listener, pages) for kind in REFLECTED
        ]
        async with asyncio.TaskGroup() as group:
            for reflector in reflectors:
                group.create_task(reflector.run())
            for reflector in reflectors:
                await reflector.listed.wait()
            self.children_listed.set()

    def classifiers(self) -> set[str]:
        """The uids of the cached ImageClassifiers."""
        return self._classifiers.uids()

    def remove_classifier(self, uid: str) -> None:
        """Remove an ImageClassifier that no longer exists, and have its key reconciled once more."""
        removed = self._classifiers.remove(uid)
        if removed is not None:
            self._removed(IMAGE_CLASSIFIERS, removed)
            self.queue.add(removed.key)

    async def _startup(self, settings: kopf.OperatorSettings, **_: Any) -> None:
        settings.posting.enabled = False
        settings.scanning.disabled = True
        settings.watching.chunk_size = 500
        self._cache = Cache(self._stores)
        self.started.set()

    async def _handle_event(self, type: str | None, body: kopf.Body, **_: Any) -> None:
        key = key_of(IMAGE_CLASSIFIERS, body)
        if key is None:
            return
        uid = body["metadata"]["uid"]
        if type == "DELETED":
            self.remove_classifier(uid)
        else:
            self._classifiers.put(dict(body))
            self.cache.record_event(IMAGE_CLASSIFIERS, uid)
            self.queue.add(key)

    def _is_own_write(self, kind: Kind, key: Key, body: Json) -> bool:
        """Whether an event shows only what the last reconciliation wrote, so that no other is needed.

        The routing is an exception: its write is a transition, and the next one may be possible at once.
        """
        return self.cache.has_caught_up(kind, key, body) and kind != CONFIG_MAPS

    def _removed(self, kind: Kind, removed: Removed) -> None:
        self.cache.record_deletion(kind, removed.key, removed.name, removed.uid)


def _login(**arguments: Any) -> kopf.ConnectionInfo | None:
    """Log in as the pod's service account or, outside of a cluster, with the kubeconfig."""
    return kopf.login_with_service_account(**arguments) or kopf.login_with_kubeconfig(**arguments)
