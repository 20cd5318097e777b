"""The status writer and event recorder: writes the status when it changes, and posts Events."""

import logging

from imageclassifier_operator import metrics
from imageclassifier_operator.api import ModelVersion, names
from imageclassifier_operator.api.json import Json
from imageclassifier_operator.api.kinds import HTTP_ROUTES, IMAGE_CLASSIFIERS, SERVICES, STATUS_FIELD_MANAGER
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe import objects, ways_in
from imageclassifier_operator.observe.types import Problem, Snapshot
from imageclassifier_operator.reconcile.request import Request, ValidRequest
from imageclassifier_operator.rollout import Decision, Goal
from imageclassifier_operator.rollout.state import State
from imageclassifier_operator.runtime.api_error import ApiError
from imageclassifier_operator.runtime.cache import Cache
from imageclassifier_operator.runtime.client import KubernetesClient
from imageclassifier_operator.runtime.drift import needs_apply
from imageclassifier_operator.status import document, events

logger = logging.getLogger(__name__)

STATUS_LAG_SECONDS = 2.0
"""A status in which only figures changed is written at most this often. A condition is written at once."""


class StatusWriter:
    """Writes the status and posts Events. `reporter`: the name of the operator's pod."""

    def __init__(self, cache: Cache, client: KubernetesClient, reporter: str) -> None:
        self._cache, self._client, self._reporter = cache, client, reporter

    async def write_status(
        self, request: ValidRequest, goal: Goal, state: State, snapshot: Snapshot, blocked: Problem | None
    ) -> None:
        """Write the status if it changed, and post an Event about what prevents the operator from acting."""
        ic = request.ic
        service = self._cache.get(SERVICES, request.key, names.gateway_name(ic.name))
        route = self._cache.get(HTTP_ROUTES, request.key, names.gateway_name(ic.name))
        facts = document.Facts(
            name=ic.name,
            generation=ic.generation,
            live=request.body.get("status") or {},
            now=request.now,
            url=ways_in.url(ic, service),
            way_in_problem=ways_in.way_in_problem(ic, service, route),
            model_digest=_model_digest(request, state.serving),
            blocked=blocked,
        )
        await self._apply_status(request, facts, goal, state, snapshot)
        await self._post_problem(request, blocked or goal.refused)

    async def write_invalid_status(
        self, request: Request, state: State, snapshot: Snapshot, message: str
    ) -> None:
        """Report an invalid spec."""
        problem = Problem(Reason.INVALID_SPEC, message)
        facts = document.Facts(
            name=request.key.name,
            generation=request.body["metadata"].get("generation", 0),
            live=request.body.get("status") or {},
            now=request.now,
            blocked=problem,
        )
        await self._apply_status(request, facts, None, state, snapshot)
        await self._post_problem(request, problem)

    def record_transitions(self, request: Request, decision: Decision) -> None:
        """Log and count the transitions, and keep their Events until they are posted.

        The next reconciliation no longer sees these transitions.
        """
        for transition in decision.taken:
            logger.info("%s: %s", transition.name, transition.message)
            metrics.TRANSITIONS.labels(transition.name).inc()
            if not events.is_worth_an_event(transition):
                continue
            subject = events.Subject(request.body["metadata"], self._reporter, request.now)
            event = events.of_transition(subject, transition, decision.state.revision)
            request.memory.pending_events.append(event)

    async def post_events(self, request: Request) -> None:
        """Post the Events of all transitions that were recorded."""
        pending = request.memory.pending_events
        while pending:
            await self._post(request, pending[0])
            del pending[0]

    async def _post_problem(self, request: Request, problem: Problem | None) -> None:
        """Post one Event for a problem, and no second one while the problem stays the same."""
        if problem is not None and problem != request.memory.posted_problem:
            subject = events.Subject(request.body["metadata"], self._reporter, request.now)
            await self._post(request, events.of_problem(subject, problem))
        request.memory.posted_problem = problem

    async def _post(self, request: Request, event: Json) -> None:
        """Post one Event. One that the API server refuses (a quota, a policy) is dropped with a warning."""
        try:
            await self._client.create_event(request.key.namespace, event)
        except ApiError as error:
            if not error.is_refusal:
                raise
            logger.warning("Cannot post the Event %s: %s", event["reason"], error)

    async def _apply_status(
        self, request: Request, facts: document.Facts, goal: Goal | None, state: State, snapshot: Snapshot
    ) -> None:
        key, memory, now = request.key, request.memory, request.now
        status = document.status(facts, goal, state, snapshot)
        metrics.set_conditions(key.namespace, key.name, status["conditions"])
        if not needs_apply({"status": status}, request.body, STATUS_FIELD_MANAGER, "status"):
            memory.status_due = None
            return
        if not document.is_urgent(status, facts.live):
            memory.status_due = memory.status_due or now + STATUS_LAG_SECONDS
            if now < memory.status_due:
                return
        memory.status_due = None
        written = await self._client.apply_status(request.body, status)
        self._cache.record_write(IMAGE_CLASSIFIERS, key, written)


def _model_digest(request: ValidRequest, serving: ModelVersion | None) -> str:
    """The digest of the serving version, from all its pods: some may be replaced just now."""
    if serving is None:
        return ""
    return objects.digest_of_files(serving.source, request.objects.serving_pods(serving.version))
