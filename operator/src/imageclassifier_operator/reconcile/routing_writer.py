"""The routing: writing its file, and having every gateway read it soon."""

from collections.abc import Callable, Mapping
from typing import Any

from imageclassifier_operator import render
from imageclassifier_operator.api import names
from imageclassifier_operator.api.kinds import CONFIG_MAPS
from imageclassifier_operator.observe.types import Problem
from imageclassifier_operator.reconcile.children import Children
from imageclassifier_operator.reconcile.context import View
from imageclassifier_operator.rollout import routing
from imageclassifier_operator.rollout.state import State
from imageclassifier_operator.runtime.cache import Cache
from imageclassifier_operator.runtime.client import ApiError, Cluster
from imageclassifier_operator.runtime.gather import all_done

Json = Mapping[str, Any]

TOUCH_ANNOTATION = f"{names.GROUP}/routing"


class Announcer:
    """Writes the routing ConfigMap and annotates the gateways' pods until they have read it."""

    def __init__(
        self, cache: Cache, cluster: Cluster, children: Children, clock: Callable[[], float]
    ) -> None:
        self._cache, self._cluster, self._children, self._clock = cache, cluster, children, clock

    async def announce(self, view: View, state: State) -> Problem | None:
        """Write the routing that `state` asks for, when anything serves. What keeps it from being written?"""
        document = routing.routing_file(view.ic.name, view.ic.namespace, state)
        if document is None:
            return None
        text = routing.to_text(document)
        manifest = render.routing_config_map(view.ic, text, routing.sealed(state, text))
        name, last = manifest["metadata"]["name"], view.memory.routing_written
        is_new = last is None or last[0] != state.revision
        before = self._cache.one(CONFIG_MAPS, view.key, name)
        problem = await self._children.ensure(view, manifest)
        if problem is not None:
            return problem
        if is_new and self._cache.one(CONFIG_MAPS, view.key, name) is not before:
            view.memory.routing_written = (state.revision, self._clock())
        return None

    async def touch_gateways(self, view: View, state: State) -> None:
        """Have the kubelets look at the routing ConfigMap now, not in a minute."""
        if state.serving is None:
            return
        pods = [
            pod
            for pod in view.objects.gateway_pods()
            if pod["status"].get("podIP") and view.memory.needs_touch(pod, state.revision, view.now)
        ]
        await all_done(self._touch(view, pod, state.revision) for pod in pods)

    async def _touch(self, view: View, pod: Json, revision: int) -> None:
        metadata, count = pod["metadata"], view.memory.touches_of(pod, revision) + 1
        try:
            await self._cluster.annotate_pod(
                metadata["namespace"], metadata["name"], {TOUCH_ANNOTATION: f"{revision}.{count}"}
            )
        except ApiError as error:
            if error.status != 404:
                raise
        view.memory.touched(pod, revision, view.now)
