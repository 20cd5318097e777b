"""The informer: it fills the cache, and adds the keys of what has changed to the work queue.

kopf lists and watches ImageClassifiers. Its handlers for create, update, resume, timers and daemons are not
used: they store their progress in annotations and finalizers of users' objects, and do not see what happens
to children.

Reflectors of our own list and watch the children, pods and warnings, of which there are many more. kopf would
start a task for each of them, keep them as parsed JSON, and keep those that vanish while a watch is broken.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import kopf

from imageclassifier_operator.api.json import Json
from imageclassifier_operator.api.kinds import CONFIG_MAPS, IMAGE_CLASSIFIERS, WATCHED, Kind
from imageclassifier_operator.runtime.cache import Cache, key_of
from imageclassifier_operator.runtime.client import KubernetesClient
from imageclassifier_operator.runtime.reflector import Listener, Reflector
from imageclassifier_operator.runtime.store import Removed, Store, UnpackedIndex, pack
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
        self.listed = asyncio.Event()
        """Set once the first list of every kind is in the cache. kopf delays the event of each object until
        all listed objects are indexed, so the first event is the sign.
        """
        self._classifiers_listed = False
        self._cache: Cache | None = None
        self._stores = {kind.plural: Store(kind) for kind in REFLECTED}
        resource = (IMAGE_CLASSIFIERS.group, IMAGE_CLASSIFIERS.version, IMAGE_CLASSIFIERS.plural)
        kopf.on.login(registry=self.registry)(_login)
        kopf.on.startup(registry=self.registry)(self._startup)
        kopf.index(*resource, registry=self.registry, id=IMAGE_CLASSIFIERS.plural)(_index)
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
            self._note_listed()

    async def _startup(self, settings: kopf.OperatorSettings, **arguments: Any) -> None:
        settings.posting.enabled = False
        settings.scanning.disabled = True
        settings.watching.chunk_size = 500
        classifiers = UnpackedIndex(arguments[IMAGE_CLASSIFIERS.plural])
        self._cache = Cache({IMAGE_CLASSIFIERS.plural: classifiers, **self._stores})
        self.started.set()

    async def _handle_event(self, type: str | None, body: kopf.Body, **_: Any) -> None:
        self._classifiers_listed = True
        self._note_listed()
        key = key_of(IMAGE_CLASSIFIERS, body)
        if key is None:
            return
        uid = body["metadata"]["uid"]
        if type == "DELETED":
            self.cache.record_deletion(IMAGE_CLASSIFIERS, key, key.name, uid)
        else:
            self.cache.record_event(IMAGE_CLASSIFIERS, uid)
        self.queue.add(key)

    def _is_own_write(self, kind: Kind, key: Key, body: Json) -> bool:
        """Whether an event shows only what the last reconciliation wrote, so that no other is needed.

        The routing is an exception: its write is a transition, and the next one may be possible at once.
        """
        return self.cache.has_caught_up(kind, key, body) and kind != CONFIG_MAPS

    def _removed(self, kind: Kind, removed: Removed) -> None:
        self.cache.record_deletion(kind, removed.key, removed.name, removed.uid)

    def _note_listed(self) -> None:
        if self._classifiers_listed and self.children_listed.is_set():
            self.listed.set()


async def _index(body: kopf.Body, **_: Any) -> Mapping[Key, bytes]:
    key = key_of(IMAGE_CLASSIFIERS, body)
    return {} if key is None else {key: pack(dict(body))}


def _login(**arguments: Any) -> kopf.ConnectionInfo | None:
    """Log in as the pod's service account or, outside of a cluster, with the kubeconfig."""
    return kopf.login_with_service_account(**arguments) or kopf.login_with_kubeconfig(**arguments)
