"""The workers: each takes keys from the work queue, reconciles them, and counts and logs the results."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from imageclassifier_operator import logs, metrics, tracing
from imageclassifier_operator.runtime.api_error import ApiError
from imageclassifier_operator.runtime.work_queue import Key, RetrySoonError, WorkQueue

logger = logging.getLogger(__name__)

WORKERS = 32
"""They wait for the API server and for gateways most of the time."""


async def run_workers(queue: WorkQueue, reconcile: Callable[[Key], Awaitable[float | None]]) -> None:
    """Process the queue with `WORKERS` workers until cancelled."""

    async def handle(key: Key) -> float | None:
        logs.current_key.set(key)
        metrics.QUEUE_DEPTH.set(len(queue))
        began = time.perf_counter()
        try:
            with tracing.span(
                "reconcile", k8s__namespace__name=key.namespace, imageclassifier__name=key.name
            ):
                requeue_seconds = await reconcile(key)
        except Exception as error:
            metrics.RECONCILES.labels("failed").inc()
            if isinstance(error, ApiError | RetrySoonError):
                logger.warning("Reconciliation failed and will be retried: %s", error)
            else:
                logger.exception("Reconciliation failed and will be retried")
            raise
        finally:
            metrics.RECONCILE_SECONDS.observe(time.perf_counter() - began)
            logs.current_key.set(None)
        metrics.RECONCILES.labels("ok").inc()
        return requeue_seconds

    async with asyncio.TaskGroup() as group:
        for _ in range(WORKERS):
            group.create_task(queue.work(handle, metrics.QUEUE_SECONDS.observe))
