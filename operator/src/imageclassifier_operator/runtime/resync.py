"""The resync: regular lists of every kind, which remove from the cache what the watches missed."""

import asyncio
import logging

from imageclassifier_operator.api.kinds import WARNINGS, WATCHED
from imageclassifier_operator.runtime.cache import Cache
from imageclassifier_operator.runtime.client import ApiError, KubernetesClient
from imageclassifier_operator.runtime.work_queue import WorkQueue

logger = logging.getLogger(__name__)


async def resync(client: KubernetesClient, cache: Cache, queue: WorkQueue, seconds: float) -> None:
    """List each kind now and then every `seconds`, and drop cached objects that no longer exist.

    A broken watch leaves deleted objects in the cache, also in a replica that has not led so far. The lists
    have only metadata. Warning Events are not listed, since they are only read for pods that exist.
    """
    while True:
        for kind in WATCHED:
            if kind is WARNINGS:
                continue
            before = cache.uids(kind)
            try:
                listed = await client.list_uids(kind)
            except ApiError as error:
                logger.warning("Cannot list %s: %s", kind.plural, error)
                continue
            for key in cache.drop_missing(kind, before, listed):
                logger.info("Dropped %s of %s from the cache: they no longer exist", kind.plural, key)
                queue.add(key)
        await asyncio.sleep(seconds)
