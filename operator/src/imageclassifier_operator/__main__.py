"""The operator process: kopf's watches in every replica and, in the one that holds the Lease, the workers."""

import asyncio
import logging
import signal
import threading
import uuid

import kopf

from imageclassifier_operator import logs, metrics
from imageclassifier_operator.api.kinds import IMAGE_CLASSIFIERS
from imageclassifier_operator.observe.gateway_client import Gateways, HttpGateways
from imageclassifier_operator.reconcile.reconciler import Reconciler
from imageclassifier_operator.runtime.client import ApiError, Cluster
from imageclassifier_operator.runtime.informer import Informer
from imageclassifier_operator.runtime.leader_election import Leader, LeaseLostError, Timing
from imageclassifier_operator.runtime.resync import resync
from imageclassifier_operator.runtime.work_queue import WorkQueue
from imageclassifier_operator.runtime.workers import run_workers
from imageclassifier_operator.settings import Settings

logger = logging.getLogger(__name__)

CRD_TRIES = 30
CRD_RETRY_SECONDS = 2.0


async def run(
    settings: Settings, stop: asyncio.Event, gateways: Gateways, timing: Timing | None = None
) -> None:
    """Run until `stop` is set or a signal comes. Raises LeaseLostError when another replica may lead."""
    queue = WorkQueue()
    informer = Informer(queue)
    cluster = await Cluster.connect(settings.watch_namespace)
    identity = f"{settings.pod_name}_{uuid.uuid4().hex[:8]}"
    leader = Leader(cluster, settings.pod_namespace, identity, timing)
    await _wait_for_crd(cluster)
    kopf_stop = asyncio.Event()
    leading = asyncio.create_task(_lead(informer, cluster, gateways, leader, settings, stop))
    watching = asyncio.create_task(
        kopf.operator(
            registry=informer.registry,
            clusterwide=settings.watch_namespace is None,
            namespaces=[] if settings.watch_namespace is None else [settings.watch_namespace],
            standalone=True,
            liveness_endpoint=f"http://0.0.0.0:{settings.probe_port}/healthz",
            stop_flag=kopf_stop,
        )
    )
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({watching, leading, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        # First no more work, then the Lease for the next, then the watches.
        stopping.cancel()
        leading.cancel()
        led = await asyncio.gather(leading, return_exceptions=True)
        await leader.release()
        kopf_stop.set()
        watched = await asyncio.gather(watching, return_exceptions=True)
        await cluster.close()
    for result in (*led, *watched):
        if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
            raise result


async def _wait_for_crd(cluster: Cluster) -> None:
    """kopf watches the kinds that it finds when it starts: so the CRD has to be there before.

    Raises SystemExit when it is not there for a minute; Kubernetes then starts us again.
    """
    for _ in range(CRD_TRIES):
        try:
            await cluster.list_uids(IMAGE_CLASSIFIERS)
        except ApiError as error:
            logger.warning("ImageClassifiers cannot be listed yet: %s", error)
            await asyncio.sleep(CRD_RETRY_SECONDS)
        else:
            return
    raise SystemExit(
        "ImageClassifiers cannot be listed: is the CRD installed, and may this account list them?"
    )


async def _lead(
    informer: Informer,
    cluster: Cluster,
    gateways: Gateways,
    leader: Leader,
    settings: Settings,
    stop: asyncio.Event,
) -> None:
    """Wait for the Lease, then work for as long as it is held."""
    await informer.started.wait()
    _stop_on_signals(stop)
    await leader.acquire()
    reconciler = Reconciler(informer.cache, cluster, gateways, settings)
    async with asyncio.TaskGroup() as group:
        group.create_task(leader.hold())
        group.create_task(_work(informer, cluster, reconciler, settings.resync_seconds))


async def _work(informer: Informer, cluster: Cluster, reconciler: Reconciler, resync_seconds: float) -> None:
    """Work the queue, and look after what the watches miss; all of it behind one gate.

    While a kind is not listed yet, its objects seem to be missing: a version that serves would look like one
    that nobody wants. The queue is not filled here: every key there is comes into it with the events of the
    first lists, and waits in it while another replica leads.
    """
    await informer.listed.wait()
    async with asyncio.TaskGroup() as group:
        group.create_task(run_workers(informer.queue, reconciler.reconcile))
        group.create_task(resync(cluster, informer.cache, informer.queue, resync_seconds))


def _stop_on_signals(stop: asyncio.Event) -> None:
    """In place of kopf's handlers, which stop the watches first and let the work run on without them."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)


def main() -> None:
    """The command `imageclassifier-operator`."""
    logs.set_up()
    settings = Settings.from_environment()
    metrics.serve(settings.metrics_port)
    try:
        asyncio.run(_run(settings))
    except* LeaseLostError as lost:
        raise SystemExit(f"{lost.exceptions[0]}: this replica ends, so that two never lead") from lost


async def _run(settings: Settings) -> None:
    gateways = HttpGateways()
    try:
        await run(settings, asyncio.Event(), gateways)
    finally:
        await gateways.close()


if __name__ == "__main__":
    main()
