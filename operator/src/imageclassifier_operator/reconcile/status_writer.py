"""Telling users: the status, written when it says something new, and an Event for what happened."""

import logging
from collections.abc import Mapping
from typing import Any

from imageclassifier_operator import metrics
from imageclassifier_operator.api import ImageSource, names
from imageclassifier_operator.api.kinds import IMAGE_CLASSIFIERS, SERVICES, STATUS_FIELD_MANAGER
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe import objects
from imageclassifier_operator.observe.types import Observed, Problem
from imageclassifier_operator.reconcile.context import Found, View
from imageclassifier_operator.rollout import Decision, Goal
from imageclassifier_operator.rollout.state import State
from imageclassifier_operator.runtime.cache import Cache
from imageclassifier_operator.runtime.client import ApiError, Cluster
from imageclassifier_operator.runtime.drift import needs_writing
from imageclassifier_operator.status import document, events

logger = logging.getLogger(__name__)

Json = Mapping[str, Any]

STATUS_LAG_SECONDS = 2.0
"""Figures of a status that change all the time are written at most this often; a condition is written at
once.
"""


class Teller:
    """Writes status and Events. `reporter` is the name of the operator's pod."""

    def __init__(self, cache: Cache, cluster: Cluster, reporter: str) -> None:
        self._cache, self._cluster, self._reporter = cache, cluster, reporter

    async def tell(
        self, view: View, goal: Goal, state: State, seen: Observed, blocked: Problem | None
    ) -> None:
        """Write the status if it says something new, and an Event for what keeps the operator from acting."""
        ic = view.ic
        service = self._cache.one(SERVICES, view.key, names.gateway_name(ic.name))
        # A model from a volume has no digest: the init container's image is then the model server's.
        from_image = state.serving is not None and isinstance(state.serving.source, ImageSource)
        model_pods = view.objects.serving_pods(state.serving.version) if state.serving and from_image else []
        facts = document.Facts(
            name=ic.name,
            generation=ic.generation,
            url=objects.url(ic, service),
            model_digest=objects.model_digest(model_pods),
            blocked=blocked,
        )
        await self._write_status(view, facts, goal, state, seen)
        await self._tell_problem(view, blocked or goal.refused)

    def note(self, view: View, decision: Decision) -> None:
        """Remember what happened until it is told: the next pass does not see it any more."""
        for happened in decision.happened:
            said = happened.blame.message if happened.blame else happened.meaning
            logger.info("%s: %s", happened.name, said)
            metrics.TRANSITIONS.labels(happened.name).inc()
            event = events.of_transition(
                view.body["metadata"], happened, decision.state.revision, self._reporter, view.now
            )
            view.memory.untold.append(event)

    async def tell_transitions(self, view: View) -> None:
        untold = view.memory.untold
        while untold:
            await self._post(view, untold[0])
            del untold[0]

    async def tell_invalid(self, found: Found, state: State, seen: Observed, sentence: str) -> None:
        """A spec that cannot be acted on: everything stays as it is, and the status says why."""
        problem = Problem(Reason.INVALID_SPEC, sentence)
        facts = document.Facts(
            name=found.key.name, generation=found.body["metadata"].get("generation", 0), blocked=problem
        )
        await self._write_status(found, facts, None, state, seen)
        await self._tell_problem(found, problem)

    async def _tell_problem(self, found: Found, problem: Problem | None) -> None:
        """An Event for what keeps the operator from acting; one, while it stays the same."""
        if problem is not None and problem != found.memory.told_problem:
            event = events.of_problem(found.body["metadata"], problem, self._reporter, found.now)
            await self._post(found, event)
        found.memory.told_problem = problem

    async def _post(self, found: Found, event: Json) -> None:
        """One that the API server refuses (a quota, a policy) is given up: no pass has to fail for it."""
        try:
            await self._cluster.create_event(found.key.namespace, event)
        except ApiError as error:
            if not error.is_refusal:
                raise
            logger.warning("the Event %s cannot be posted: %s", event["reason"], error)

    async def _write_status(
        self, found: Found, facts: document.Facts, goal: Goal | None, state: State, seen: Observed
    ) -> None:
        key, body, memory, now = found.key, found.body, found.memory, found.now
        live = body.get("status") or {}
        status = document.status(facts, goal, state, seen, live, now)
        metrics.tell_conditions(key.namespace, key.name, status["conditions"])
        if not needs_writing({"status": status}, body, STATUS_FIELD_MANAGER, "status"):
            memory.status_due = None
            return
        if not document.is_urgent(status, live):
            memory.status_due = memory.status_due or now + STATUS_LAG_SECONDS
            if now < memory.status_due:
                return
        memory.status_due = None
        written = await self._cluster.apply_status(key.namespace, key.name, status)
        self._cache.written(IMAGE_CLASSIFIERS, key, written)
