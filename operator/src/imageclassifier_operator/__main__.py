"""The operator process: every replica runs the informer, and the leader also runs the workers."""

import asyncio
import contextlib
import gc
import logging
import resource
import signal
import sys
import threading
import uuid
from dataclasses import dataclass

import kopf

from imageclassifier_operator import command_line, logs, metrics, tracing
from imageclassifier_operator.api.kinds import IMAGE_CLASSIFIERS
from imageclassifier_operator.observe.gateway_client import GatewayClient, HttpGatewayClient
from imageclassifier_operator.reconcile.gateway_prober import GatewayProber
from imageclassifier_operator.reconcile.reconciler import Reconciler
from imageclassifier_operator.runtime import kubelet_probes
from imageclassifier_operator.runtime.api_error import ApiError
from imageclassifier_operator.runtime.client import KubernetesClient
from imageclassifier_operator.runtime.clock import SteadyClock
from imageclassifier_operator.runtime.crd import wait_for_crd
from imageclassifier_operator.runtime.informer import Informer
from imageclassifier_operator.runtime.leader_election import LeaderElection, LeaseLostError, Timing
from imageclassifier_operator.runtime.resync import resync
from imageclassifier_operator.runtime.work_queue import WorkQueue
from imageclassifier_operator.runtime.workers import run_workers
from imageclassifier_operator.settings import SettingError, Settings

logger = logging.getLogger(__name__)

LIST_AGAIN_SECONDS = 5.0
LISTED_POLL_SECONDS = 0.1
GARBAGE_THRESHOLD = 50_000
"""How many new objects start a search for cycles. Parsed JSON has many objects and no cycles: with Python's
700, parsing a page of a list took four times as long as without any search, and now 1.5 times.
"""


async def run(
    settings: Settings, stop: asyncio.Event, gateways: GatewayClient, timing: Timing | None = None
) -> None:
    """Run until `stop` is set or a signal arrives. Raises LeaseLostError when another replica may lead."""
    _stop_on_signals(stop)
    ready = asyncio.Event()
    async with kubelet_probes.serve(settings.probe_port, ready.is_set):
        await _run_until_stopped(settings, stop, gateways, timing, ready)


async def _run_until_stopped(
    settings: Settings,
    stop: asyncio.Event,
    gateways: GatewayClient,
    timing: Timing | None,
    ready: asyncio.Event,
) -> None:
    queue = WorkQueue()
    informer = Informer(queue)
    client = await KubernetesClient.connect(settings.watch_namespace)
    identity = f"{settings.pod_name}_{uuid.uuid4().hex[:8]}"
    election = LeaderElection(client, settings.pod_namespace, identity, timing)
    client.write_only_while(election.may_write)
    if not await wait_for_crd(client, stop):
        await client.close()
        return
    kopf_stop = asyncio.Event()
    process = _Process(informer, client, gateways, settings, stop, ready)
    leading = asyncio.create_task(_lead(process, election))
    watching = asyncio.create_task(
        kopf.operator(
            registry=informer.registry,
            clusterwide=settings.watch_namespace is None,
            namespaces=[] if settings.watch_namespace is None else [settings.watch_namespace],
            standalone=True,
            stop_flag=kopf_stop,
        )
    )
    reflecting = asyncio.create_task(informer.reflect(client))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({watching, reflecting, leading, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        # Stop the workers first, then release the Lease, then stop the watches.
        stopping.cancel()
        leading.cancel()
        led = await asyncio.gather(leading, return_exceptions=True)
        await election.release()
        kopf_stop.set()
        reflecting.cancel()
        watched = await asyncio.gather(watching, reflecting, return_exceptions=True)
        await client.close()
    for result in (*led, *watched):
        if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
            raise result


@dataclass(frozen=True)
class _Process:
    """What the leader works with."""

    informer: Informer
    client: KubernetesClient
    gateways: GatewayClient
    settings: Settings
    stop: asyncio.Event
    ready: asyncio.Event
    """Set once this replica could lead at once."""


async def _lead(process: _Process, election: LeaderElection) -> None:
    """Wait for the Lease, and run the workers as long as it is held."""
    await process.informer.started.wait()
    _stop_on_signals(process.stop)  # once more, because kopf has replaced the handlers
    await _wait_until_listed(process)
    process.ready.set()
    await election.acquire()
    async with asyncio.TaskGroup() as group:
        group.create_task(election.hold())
        group.create_task(_work(process))


async def _wait_until_listed(process: _Process) -> None:
    """Wait until the cache is complete: until it has each ImageClassifier of a list of our own.

    kopf does not tell when its first list has ended. A leader with an incomplete cache could do nothing, and
    a replica that has one would keep it from leading.
    """
    await process.informer.children_listed.wait()
    while True:
        try:
            listed = await process.client.list_uids(IMAGE_CLASSIFIERS)
        except ApiError as error:
            logger.warning("Cannot list ImageClassifiers yet: %s", error)
            await asyncio.sleep(LIST_AGAIN_SECONDS)
            continue
        with contextlib.suppress(TimeoutError):  # one may be deleted meanwhile
            async with asyncio.timeout(LIST_AGAIN_SECONDS):
                while not listed <= process.informer.classifiers():  # noqa: ASYNC110 - kopf fills it
                    await asyncio.sleep(LISTED_POLL_SECONDS)
                return


async def _work(process: _Process) -> None:
    """Run the workers and the resync, once every kind has been listed.

    Before that, objects seem to be missing, and a serving version could look unwanted. The event handlers
    fill the queue with every key during the first lists; the keys wait there while another replica leads.
    """
    informer, client, settings = process.informer, process.client, process.settings
    clock = SteadyClock()
    reconciler = Reconciler(informer.cache, client, process.gateways, settings, clock)
    informer.queue.prefer(reconciler.urgency)
    reconciler.gateway_updates.call = informer.queue.add
    async with asyncio.TaskGroup() as group:
        prober = GatewayProber(informer.cache, process.gateways, reconciler.memories, informer.queue, clock)
        group.create_task(run_workers(informer.queue, reconciler.reconcile))
        group.create_task(prober.run())
        group.create_task(resync(client, informer, settings.resync_seconds))


def _allow_many_files() -> None:
    """Raise the soft limit of open files to the hard one.

    Each connection to a gateway is an open file, and some container runtimes set a soft limit of 1,024.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _stop_on_signals(stop: asyncio.Event) -> None:
    """Stop on signals. kopf's own handlers would stop the watches first, while the workers go on."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)


def main() -> None:
    """The command `imageclassifier-operator`. Exits with code 2 if an argument or a setting is invalid."""
    command_line.parse(sys.argv[1:])
    try:
        settings = Settings.from_environment()
        tracing.set_up()
    except SettingError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    logs.set_up()
    _allow_many_files()
    gc.set_threshold(GARBAGE_THRESHOLD)
    metrics.serve(settings.metrics_port, kubelet_probes.every_address())
    try:
        asyncio.run(_run(settings))
    except* LeaseLostError as lost:
        raise SystemExit(
            f"{lost.exceptions[0]}. This replica ends, so that never two of them lead."
        ) from lost


async def _run(settings: Settings) -> None:
    gateways = HttpGatewayClient()
    try:
        await run(settings, asyncio.Event(), gateways)
    finally:
        await gateways.close()
        tracing.close()


if __name__ == "__main__":
    main()
