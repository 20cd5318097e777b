"""kopf as an informer: it lists and watches, keeps the indices, and puts keys into the queue. Nothing else.

No create/update/resume/timer/daemon handlers: those keep their progress in annotations and finalizers of
users' objects, and miss what happens to children.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any

import kopf

from imageclassifier_operator import logs, metrics, names
from imageclassifier_operator.cache import Cache, key_of
from imageclassifier_operator.cluster import ApiError, Cluster
from imageclassifier_operator.kinds import WARNINGS, WATCHED, Kind
from imageclassifier_operator.queue import Key, RetrySoonError, WorkQueue
from imageclassifier_operator.reconcile import Reconciler

logger = logging.getLogger(__name__)

WORKERS = 4


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


async def run_workers(queue: WorkQueue, reconciler: Reconciler) -> None:
    """Work the queue until cancelled."""

    async def handle(key: Key) -> float | None:
        logs.current_key.set(key)
        metrics.QUEUE_DEPTH.set(len(queue))
        began = time.perf_counter()
        try:
            again_seconds = await reconciler.reconcile(key)
        except Exception as error:
            metrics.RECONCILES.labels("failed").inc()
            if isinstance(error, ApiError | RetrySoonError):
                logger.warning("the pass failed and is repeated: %s", error)
            else:
                logger.exception("the pass failed and is repeated")
            raise
        finally:
            metrics.RECONCILE_SECONDS.observe(time.perf_counter() - began)
            logs.current_key.set(None)
        metrics.RECONCILES.labels("ok").inc()
        return again_seconds

    async with asyncio.TaskGroup() as group:
        for _ in range(WORKERS):
            group.create_task(queue.work(handle, metrics.QUEUE_SECONDS.observe))


async def resync(cluster: Cluster, cache: Cache, queue: WorkQueue, seconds: float) -> None:
    """Now, and then every so often, list each kind and drop what only the cache still has.

    A watch that broke leaves ghosts, also in a replica that did not lead until now. Metadata only. Warning
    Events are left out: they are only read for pods that exist.
    """
    while True:
        for kind in WATCHED:
            if kind is WARNINGS:
                continue
            before = cache.uids(kind)
            try:
                listed = await cluster.list_uids(kind)
            except ApiError as error:
                logger.warning("%s were not listed: %s", kind.plural, error)
                continue
            for key in cache.correct(kind, before, listed):
                logger.info("%s of %s had vanished unseen", kind.plural, key)
                queue.add(key)
        await asyncio.sleep(seconds)
