"""The routing writer: writes the routing ConfigMap, and annotates gateway pods until they have read it."""

from collections.abc import Callable

from imageclassifier_operator import render
from imageclassifier_operator.api import names
from imageclassifier_operator.api.json import Json
from imageclassifier_operator.api.kinds import CONFIG_MAPS
from imageclassifier_operator.observe.types import Problem
from imageclassifier_operator.reconcile.children import Children
from imageclassifier_operator.reconcile.request import ValidRequest
from imageclassifier_operator.rollout import routing
from imageclassifier_operator.rollout.state import State
from imageclassifier_operator.runtime.cache import Cache
from imageclassifier_operator.runtime.client import ApiError, KubernetesClient
from imageclassifier_operator.runtime.gather import gather_all

ROUTING_ANNOTATION = f"{names.GROUP}/routing"


class RoutingWriter:
    """Writes the routing of one ImageClassifier at a time, and tells its gateways about it."""

    def __init__(
        self, cache: Cache, client: KubernetesClient, children: Children, clock: Callable[[], float]
    ) -> None:
        self._cache, self._client, self._children, self._clock = cache, client, children, clock

    async def write_routing(self, request: ValidRequest, state: State) -> Problem | None:
        """Write the routing of `state`, if a version serves. Returns what prevents it, if anything does."""
        document = routing.routing_file(request.ic.name, request.ic.namespace, state)
        if document is None:
            return None
        text = routing.to_text(document)
        manifest = render.routing_config_map(request.ic, text, routing.sealed(state, text))
        name, last = manifest["metadata"]["name"], request.memory.routing_written
        is_new = last is None or last[0] != state.revision
        before = self._cache.get(CONFIG_MAPS, request.key, name)
        problem = await self._children.ensure(request, manifest)
        if problem is not None:
            return problem
        if is_new and self._cache.get(CONFIG_MAPS, request.key, name) is not before:
            request.memory.routing_written = (state.revision, self._clock())
        return None

    async def annotate_gateways(self, request: ValidRequest, state: State) -> None:
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

    async def _annotate(self, request: ValidRequest, pod: Json, revision: int) -> None:
        metadata, count = pod["metadata"], request.memory.annotation_count(pod, revision) + 1
        try:
            await self._client.annotate_pod(
                metadata["namespace"], metadata["name"], {ROUTING_ANNOTATION: f"{revision}.{count}"}
            )
        except ApiError as error:
            if error.status != 404:
                raise
        request.memory.record_annotation(pod, revision, request.now)
