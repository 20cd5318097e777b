"""The routing writer: writes the routing ConfigMap, and annotates gateway pods until they have read it.

The ConfigMap holds the state of the rollout, so it is never overwritten blindly: a write succeeds only if the
ConfigMap is still the one from which this reconciliation read the state.
"""

import logging
from collections.abc import Callable

from imageclassifier_operator import render
from imageclassifier_operator.api import names
from imageclassifier_operator.api.json import Json
from imageclassifier_operator.api.kinds import CONFIG_MAPS, FIELD_MANAGER
from imageclassifier_operator.observe.objects import is_controlled_by
from imageclassifier_operator.observe.types import Problem
from imageclassifier_operator.reconcile import write_problems
from imageclassifier_operator.reconcile.request import Request
from imageclassifier_operator.rollout import routing
from imageclassifier_operator.rollout.state import State
from imageclassifier_operator.runtime.api_error import ApiError
from imageclassifier_operator.runtime.cache import Cache
from imageclassifier_operator.runtime.client import KubernetesClient
from imageclassifier_operator.runtime.drift import needs_apply
from imageclassifier_operator.runtime.gather import gather_all

logger = logging.getLogger(__name__)

ROUTING_ANNOTATION = f"{names.GROUP}/routing"


class OutdatedStateError(Exception):
    """The routing ConfigMap has changed since the state was read. The cache has the live one now."""


class RoutingWriter:
    """Writes the routing of one ImageClassifier at a time, and tells its gateways about it."""

    def __init__(self, cache: Cache, client: KubernetesClient, clock: Callable[[], float]) -> None:
        self._cache, self._client, self._clock = cache, client, clock

    async def write_routing(self, request: Request, state: State) -> Problem | None:
        """Write the routing of `state`, if a version serves. Returns what prevents it, if anything does.

        Raises OutdatedStateError if the ConfigMap has changed since the state was read.
        """
        document = routing.routing_file(request.name, request.namespace, state)
        if document is None:
            return None
        text = routing.to_text(document)
        manifest = render.routing_config_map(request, text, routing.sealed(state, text))
        try:
            return await self._write(request, state.revision, manifest)
        except ApiError as error:
            if error.status == 409:
                return await self._refresh(request, manifest["metadata"]["name"])
            if not error.is_refusal:
                raise
            return write_problems.refusal(manifest, error)

    async def _write(self, request: Request, revision: int, manifest: render.Manifest) -> Problem | None:
        """Create or apply the ConfigMap. Raises ApiError 409 if the live one is not that of the request."""
        namespace, live = request.key.namespace, request.routing_config_map
        if live is None:
            if await self._client.read(CONFIG_MAPS, namespace, manifest["metadata"]["name"]) is not None:
                return await self._refresh(request, manifest["metadata"]["name"])
            written = await self._client.create(CONFIG_MAPS, namespace, manifest)
        elif not is_controlled_by(live, request.uid):
            return write_problems.conflict(CONFIG_MAPS, live, request)
        elif live["metadata"].get("deletionTimestamp") or not needs_apply(manifest, live, FIELD_MANAGER):
            return None
        else:
            written = await self._client.apply(CONFIG_MAPS, manifest, basis=live)
        logger.info("Wrote revision %s of ConfigMap %s", revision, written["metadata"]["name"])
        self._cache.record_write(CONFIG_MAPS, request.key, written)
        last = request.memory.routing_written
        if last is None or last[0] != revision:
            request.memory.routing_written = (revision, self._clock())
        return None

    async def _refresh(self, request: Request, name: str) -> Problem | None:
        """Read the live ConfigMap into the cache and raise OutdatedStateError.

        Returns the conflict if it belongs to somebody else, so that its content does not matter.
        """
        live = await self._client.read(CONFIG_MAPS, request.key.namespace, name)
        if live is not None and not is_controlled_by(live, request.uid):
            return write_problems.conflict(CONFIG_MAPS, live, request)
        self._cache.record_read(CONFIG_MAPS, request.key, name, live)
        raise OutdatedStateError(f"ConfigMap {name} has changed since the state of the rollout was read.")

    async def annotate_gateways(self, request: Request, state: State) -> None:
        """Make the kubelets refresh the routing file at once. By themselves they take up to a minute."""
        if state.serving is None:
            return
        pods = [
            pod
            for pod in request.objects.gateway_pods()
            if pod["status"].get("podIP")
            and request.memory.needs_annotation(pod, state.revision, request.now)
        ]
        await gather_all(self._annotate(request, pod, state.revision) for pod in pods)

    async def _annotate(self, request: Request, pod: Json, revision: int) -> None:
        metadata = pod["metadata"]
        count = request.memory.annotation_retries.count(metadata["uid"], revision) + 1
        try:
            await self._client.annotate_pod(
                metadata["namespace"], metadata["name"], {ROUTING_ANNOTATION: f"{revision}.{count}"}
            )
        except ApiError as error:
            if error.status != 404:
                raise
        request.memory.annotation_retries.record(metadata["uid"], revision, request.now)
