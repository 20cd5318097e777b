"""The gateway prober: probes the gateways of every ImageClassifier, also at rest.

It works beside the workers, so that gateways that do not answer keep no worker waiting. When a probe finds
anything new, the ImageClassifier is reconciled. The intervals are in `observe/gateway_intervals.py`, and
`observe/gateway_health.py` chooses one. A reconciliation that needs the newest counts polls the gateways
itself: see `reconcile/snapshot.py`.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping

from imageclassifier_operator import logs, metrics
from imageclassifier_operator.api.json import Json
from imageclassifier_operator.api.kinds import PODS
from imageclassifier_operator.observe.gateway_client import GatewayClient
from imageclassifier_operator.observe.gateway_health import Probe
from imageclassifier_operator.observe.objects import Objects
from imageclassifier_operator.observe.pod_problems import can_answer, is_ready
from imageclassifier_operator.reconcile.memory import Memory
from imageclassifier_operator.runtime.cache import Cache
from imageclassifier_operator.runtime.work_queue import Key, WorkQueue

logger = logging.getLogger(__name__)

DUE_CHECK_SECONDS = 1.0
"""How often the prober looks for ImageClassifiers whose probe is due."""
MAX_PROBES = 100
"""How many ImageClassifiers are probed at once. A gateway that does not answer takes a second."""


class GatewayProber:
    """Probes the gateways of the ImageClassifiers in `memories`, when their health says that it is time."""

    def __init__(
        self,
        cache: Cache,
        gateways: GatewayClient,
        memories: Mapping[Key, Memory],
        queue: WorkQueue,
        clock: Callable[[], float],
    ) -> None:
        self._cache, self._gateways, self._memories = cache, gateways, memories
        self._queue, self._clock = queue, clock
        self._probing: set[Key] = set()
        self._places = asyncio.Semaphore(MAX_PROBES)

    async def run(self) -> None:
        """Probe until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                for key in self._due():
                    self._probing.add(key)
                    group.create_task(self._probe_when_there_is_a_place(key))
                await asyncio.sleep(DUE_CHECK_SECONDS)

    def _due(self) -> list[Key]:
        now = self._clock()
        return [
            key
            for key, memory in self._memories.items()
            if key not in self._probing
            and memory.state is not None
            and memory.state.serving is not None
            and memory.gateway_health.next_probe_at <= now
        ]

    async def _probe_when_there_is_a_place(self, key: Key) -> None:
        try:
            async with self._places:
                logs.current_key.set(key)
                await self.probe(key)
        except Exception:
            logger.exception("Cannot probe the gateways")
        finally:
            self._probing.discard(key)

    async def probe(self, key: Key) -> None:
        """Probe one ImageClassifier's gateways, and add it to the queue if that finds anything new."""
        memory = self._memories.get(key)
        if memory is None or memory.state is None or memory.state.serving is None:
            return
        version = memory.state.serving.version
        pods = [pod for pod in self._gateway_pods(key) if can_answer(pod)]
        reports = await self._gateways.fetch_reports(pods)
        # A gateway that is not ready may be silent. If it answers, its report says why it is not ready.
        asked = frozenset(pod["metadata"]["uid"] for pod in pods if is_ready(pod))
        metrics.GATEWAY_PROBES.labels("answered").inc(len(reports))
        metrics.GATEWAY_PROBES.labels("silent").inc(len(asked - reports.keys()))
        acknowledged_before = dict(memory.acknowledged)
        memory.record_probe(Probe(version, asked, reports, self._clock()))
        found = memory.gateway_health.findings(version, self._clock())
        if found != memory.shown_findings or memory.acknowledged != acknowledged_before:
            self._queue.add(key)

    def _gateway_pods(self, key: Key) -> list[Json]:
        return Objects([], self._cache.objects_of(PODS, key), []).gateway_pods()
