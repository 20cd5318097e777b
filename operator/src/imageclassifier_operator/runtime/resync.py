"""The resync: regular lists of ImageClassifiers, which remove from the cache what kopf's watch missed."""

import asyncio
import logging

from imageclassifier_operator.api.kinds import IMAGE_CLASSIFIERS
from imageclassifier_operator.runtime.api_error import ApiError
from imageclassifier_operator.runtime.client import KubernetesClient
from imageclassifier_operator.runtime.informer import Informer

logger = logging.getLogger(__name__)


async def resync(client: KubernetesClient, informer: Informer, seconds: float) -> None:
    """List ImageClassifiers now and then every `seconds`, and remove cached ones that no longer exist.

    After a broken watch kopf lists again, but does not tell which objects were deleted meanwhile. So these
    stay in the cache, also in that of a replica that has not led so far. The list has only metadata.
    """
    while True:
        before = informer.classifiers()
        try:
            listed = await client.list_uids(IMAGE_CLASSIFIERS)
        except ApiError as error:
            logger.warning("Cannot list %s: %s", IMAGE_CLASSIFIERS.plural, error)
        else:
            for uid in before - listed:
                informer.remove_classifier(uid)
        await asyncio.sleep(seconds)
