"""Regular lists of every kind, which drop from the cache what the watches missed."""

import asyncio
import logging

from imageclassifier_operator.api.kinds import WARNINGS, WATCHED
from imageclassifier_operator.runtime.cache import Cache
from imageclassifier_operator.runtime.client import ApiError, Cluster
from imageclassifier_operator.runtime.work_queue import WorkQueue

logger = logging.getLogger(__name__)


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
