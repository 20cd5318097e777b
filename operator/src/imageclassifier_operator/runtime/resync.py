"""The resync: regular lists of ImageClassifiers, which remove from the cache what kopf's watch missed."""

import asyncio
import logging

from imageclassifier_operator.api.kinds import IMAGE_CLASSIFIERS
from imageclassifier_operator.runtime.api_error import ApiError
from imageclassifier_operator.runtime.cache import Cache
from imageclassifier_operator.runtime.client import KubernetesClient
from imageclassifier_operator.runtime.work_queue import WorkQueue

logger = logging.getLogger(__name__)


async def resync(client: KubernetesClient, cache: Cache, queue: WorkQueue, seconds: float) -> None:
    """List ImageClassifiers now and then every `seconds`, and drop cached ones that no longer exist.

    A broken watch leaves deleted objects in the cache, also in a replica that has not led so far. The list
    has only metadata.
    """
    kind = IMAGE_CLASSIFIERS
    while True:
        before = cache.uids(kind)
        try:
            listed = await client.list_uids(kind)
        except ApiError as error:
            logger.warning("Cannot list %s: %s", kind.plural, error)
        else:
            for key in cache.drop_missing(kind, before, listed):
                logger.info("Dropped %s of %s from the cache: they no longer exist", kind.plural, key)
                queue.add(key)
        await asyncio.sleep(seconds)
