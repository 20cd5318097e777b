"""The reconciler: parse, take a snapshot, decide, write what differs, report.

Reconciliation is level-based: it does not know which event caused it, may be interrupted at any line, and may
be repeated. It reads from the cache; only a child that the cache does not have yet is read from the API.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

from imageclassifier_operator import metrics, render, tracing
from imageclassifier_operator.api import InvalidSpec, names, parse
from imageclassifier_operator.api.json import Json
from imageclassifier_operator.api.kinds import CONFIG_MAPS, DEPLOYMENTS, PODS, WARNINGS
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.gateway_client import GatewayClient
from imageclassifier_operator.observe.objects import Objects, is_controlled_by
from imageclassifier_operator.observe.types import Problem, Snapshot
from imageclassifier_operator.reconcile.children import Children
from imageclassifier_operator.reconcile.class_sources import class_text
from imageclassifier_operator.reconcile.gateway_scaling import GatewayScaling
from imageclassifier_operator.reconcile.gateway_updates import GatewayUpdates
from imageclassifier_operator.reconcile.invalid_spec import InvalidSpecReconciler
from imageclassifier_operator.reconcile.memory import Memory
from imageclassifier_operator.reconcile.request import Request, ValidRequest
from imageclassifier_operator.reconcile.requeue import (
    ANALYSIS_RETRY_SECONDS,
    OUTDATED_RETRY_SECONDS,
    requeue_seconds,
)
from imageclassifier_operator.reconcile.routing_writer import OutdatedStateError, RoutingWriter
from imageclassifier_operator.reconcile.snapshot import Snapshotter
from imageclassifier_operator.reconcile.status_writer import StatusWriter
from imageclassifier_operator.rollout import Decision, Goal, decide, goal_of
from imageclassifier_operator.rollout.recovery import recover
from imageclassifier_operator.rollout.state import Phase, State
from imageclassifier_operator.runtime.api_error import ApiError
from imageclassifier_operator.runtime.cache import Cache
from imageclassifier_operator.runtime.client import KubernetesClient
from imageclassifier_operator.runtime.gather import gather_all
from imageclassifier_operator.runtime.work_queue import Key, RetrySoonError, Urgency
from imageclassifier_operator.settings import Settings

GATEWAY_FAILURES = (Reason.VERSION_UNUSABLE, Reason.NOT_ANSWERING, Reason.GATEWAYS_NOT_OBSERVED)


class Reconciler:
    """Reconciles ImageClassifiers: reads the cache, polls the gateways, and writes to the API server."""

    def __init__(
        self,
        cache: Cache,
        client: KubernetesClient,
        gateways: GatewayClient,
        settings: Settings,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._installation = render.Installation(
            settings.gateway_image,
            settings.pod_namespace,
            settings.prometheus_namespace,
            settings.dns,
            settings.network_policies,
        )
        self.gateway_updates = GatewayUpdates(cache, settings.max_gateway_updates)
        self._cache, self._client, self._settings, self._clock = cache, client, settings, clock
        self._snapshotter = Snapshotter(cache, gateways, clock)
        self._gateway_scaling = GatewayScaling(cache, client)
        self._children = Children(cache, client)
        self._routing_writer = RoutingWriter(cache, client, clock)
        self._status_writer = StatusWriter(cache, client, settings.pod_name)
        self._invalid_spec = InvalidSpecReconciler(
            self._snapshotter, self._routing_writer, self._status_writer
        )
        self.memories: dict[Key, Memory] = {}

    async def reconcile(self, key: Key) -> float | None:
        """Reconcile one ImageClassifier once.

        Returns the seconds until the next reconciliation is due, or None when only an event can change
        something.
        """
        body = self._cache.image_classifier(key)
        if body is None:
            self.memories.pop(key, None)
            self._cache.forget(key)
            self.gateway_updates.forget(key)
            metrics.set_conditions(key.namespace, key.name, [])
            return None
        if body["metadata"].get("deletionTimestamp") is not None:
            return None
        try:
            return await self._reconcile(await self._request(key, body))
        except OutdatedStateError as error:
            raise RetrySoonError(str(error), OUTDATED_RETRY_SECONDS) from error
        except ApiError as error:
            if error.namespace_is_terminating or self._cache.image_classifier(key) is None:
                return None
            memory = self.memories.get(key)
            state = None if memory is None else memory.state
            if state is not None and state.under_analysis is not None:
                seconds = max(ANALYSIS_RETRY_SECONDS, error.retry_after_seconds)
                raise RetrySoonError(str(error), seconds) from error
            raise

    def urgency(self, key: Key) -> Urgency:
        """How soon this ImageClassifier must be reconciled, by what the last reconciliation left or knew."""
        body = self._cache.image_classifier(key)
        if body is None:
            return Urgency.CHANGED
        status, memory = body.get("status") or {}, self.memories.get(key)
        state = None if memory is None else memory.state
        if state is not None:
            in_analysis, at_rest = state.under_analysis is not None, state.candidate is None
        else:
            phase = status.get("phase")
            in_analysis, at_rest = (
                phase in (Phase.SHIFT, Phase.SETTLE),
                phase in (Phase.STABLE, Phase.STOPPED),
            )
        if in_analysis:
            return Urgency.ANALYSIS
        is_current = status.get("observedGeneration") == body["metadata"]["generation"]
        return Urgency.AT_REST if at_rest and is_current else Urgency.CHANGED

    async def _request(self, key: Key, body: Json) -> Request:
        uid, now, routing_name = body["metadata"]["uid"], self._clock(), names.routing_name(key.name)
        memory = self.memories.get(key)
        if memory is None or memory.uid != uid:
            # The last leader may have written the state after the watch of this replica fell behind.
            routing = await self._client.read(CONFIG_MAPS, key.namespace, routing_name)
            if routing is None or is_controlled_by(routing, uid):
                self._cache.record_read(CONFIG_MAPS, key, routing_name, routing)
            memory = self.memories[key] = Memory(uid, started=now)
            known = _reported_reasons(body)
            memory.patience.known = known
            memory.gateway_health.known_failure = not known.isdisjoint(GATEWAY_FAILURES)
        deployments = self._cache.objects_of(DEPLOYMENTS, key)
        objects = Objects(
            deployments=[deployment for deployment in deployments if is_controlled_by(deployment, uid)],
            pods=self._cache.objects_of(PODS, key),
            warnings=self._cache.objects_of(WARNINGS, key),
        )
        return Request(key, body, objects, memory, now, self._cache.get(CONFIG_MAPS, key, routing_name))

    async def _reconcile(self, stored: Request) -> float | None:
        state = self._load_state(stored)
        try:
            ic = parse(stored.body, await class_text(self._client, stored, state))
            render.refuse_template_conflicts(ic, self._installation)
        except InvalidSpec as error:
            return await self._invalid_spec.reconcile(stored, state, str(error))
        gateway_replicas = await self._gateway_scaling.replicas(stored, ic)
        wanted_gateway = render.gateway_deployment(ic, self._installation, gateway_replicas)
        request = self._with_kept_gateway(
            ValidRequest(
                **vars(stored), ic=ic, wanted_gateway=wanted_gateway, installation=self._installation
            )
        )
        goal = goal_of(ic, self._settings.serving_image, state, self._settings.gateway_image)
        request.memory.rules = goal.rollout
        with tracing.span("observe"):
            snapshot = await self._snapshotter.take(request, goal, state)
        decision = decide(goal, state, snapshot, request.now)
        # Write the routing first, since requests depend on it. A transition whose routing cannot be written
        # does not happen.
        with tracing.span("write routing"):
            routing_problem, failure = await _attempt(
                self._routing_writer.write_routing(request, decision.state)
            )
        if routing_problem is None and failure is None:
            request.memory.state = decision.state
            self._status_writer.record_transitions(request, decision)
        else:
            decision = _without_transitions(decision, state)
        with tracing.span("write children"):
            child_problem, second = await _attempt(self._write(request, goal, decision, snapshot))
        failure = failure or second
        blocked = routing_problem or child_problem or _repeated_failure(request.memory, failure)
        if failure is not None and blocked is None:
            raise failure
        request.memory.blocked = blocked
        snapshot = self._snapshotter.refresh(snapshot, request, decision.state.revision)
        with tracing.span("write status"):
            await self._status_writer.write_status(request, goal, decision.state, snapshot, blocked)
            await self._status_writer.post_events(request)
        if failure is not None:
            raise failure
        return requeue_seconds(request, decision, snapshot, blocked)

    def _with_kept_gateway(self, request: ValidRequest) -> ValidRequest:
        """The request, with the Deployment of the gateways if it has to wait for others."""
        live = self._cache.get(DEPLOYMENTS, request.key, names.gateway_name(request.ic.name))
        waits = self.gateway_updates.must_wait(request, live)
        left = self.gateway_updates.seconds_left(request.key, request.now)
        request.memory.gateway_turn_ends = None if left is None else request.now + left
        return replace(request, kept_gateway=live) if waits else request

    async def _write(
        self, request: ValidRequest, goal: Goal, decision: Decision, snapshot: Snapshot
    ) -> Problem | None:
        """Write everything but the routing. Returns why a child could not be written, if one could not."""
        _, problem = await gather_all(
            [
                self._routing_writer.annotate_gateways(request, decision.state),
                self._children.apply_children(request, goal, decision, snapshot),
            ]
        )
        return problem

    def _load_state(self, request: Request) -> State:
        config_map = request.routing_config_map
        if config_map is not None and not is_controlled_by(config_map, request.memory.uid):
            config_map = None
        status = request.body.get("status") or {}
        deployments = request.objects.serving_deployments().values()
        return recover(config_map, request.memory.state, status, deployments, request.now)


async def _attempt(write: Awaitable[Problem | None]) -> tuple[Problem | None, ApiError | None]:
    """Await a write. Returns what prevents it, or the error of the API server, so that other work goes on."""
    try:
        return await write, None
    except ApiError as error:
        if error.namespace_is_terminating:
            raise
        return None, error


def _without_transitions(decision: Decision, state: State) -> Decision:
    """The decision to stay in `state`: no transition, no verification, and no deletion."""
    return replace(decision, state=state, taken=(), verify=False, delete_others=False)


def _reported_reasons(body: Json) -> frozenset[str]:
    """The reasons in the status, which another leader may have written."""
    conditions = (body.get("status") or {}).get("conditions") or ()
    return frozenset(condition["reason"] for condition in conditions)


def _repeated_failure(memory: Memory, failure: ApiError | None) -> Problem | None:
    """An error of the API server that ended two reconciliations in a row: it may last, so it is reported."""
    before, memory.failed = memory.failed, failure is not None
    if failure is None or not before or failure.is_transient:
        return None
    message = f"The API server rejects a write of the operator: {failure}. The operator retries it."
    return Problem(Reason.API_REFUSED, message)
