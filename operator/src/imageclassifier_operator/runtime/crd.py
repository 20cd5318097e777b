"""The CRD must exist before the informer starts, because kopf watches only the kinds that exist then."""

import asyncio
import logging

from imageclassifier_operator.api.kinds import IMAGE_CLASSIFIERS
from imageclassifier_operator.runtime.api_error import ApiError
from imageclassifier_operator.runtime.client import KubernetesClient

logger = logging.getLogger(__name__)

TRIES = 30
RETRY_SECONDS = 2.0


async def wait_for_crd(client: KubernetesClient, stop: asyncio.Event) -> bool:
    """Wait for the CRD. Returns whether it exists; False once `stop` is set.

    Raises SystemExit after a minute. Kubernetes then restarts the operator.
    """
    trying, stopping = asyncio.create_task(_try(client)), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({trying, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        trying.cancel()
        stopping.cancel()
        await asyncio.gather(trying, stopping, return_exceptions=True)
    if stop.is_set():
        return False
    if not trying.result():
        raise SystemExit(
            "Cannot list ImageClassifiers. Install the CRD, and allow the operator's service account to list "
            "them."
        )
    return True


async def _try(client: KubernetesClient) -> bool:
    for _ in range(TRIES):
        try:
            await client.list_uids(IMAGE_CLASSIFIERS)
        except ApiError as error:
            logger.warning("Cannot list ImageClassifiers yet: %s", error)
            await asyncio.sleep(RETRY_SECONDS)
        else:
            return True
    return False
