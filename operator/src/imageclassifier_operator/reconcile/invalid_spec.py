"""Reconciliation of an ImageClassifier whose spec is invalid: the status says why, and its children stay.

A version under analysis is still compared by the rules of the last valid spec, and rolled back when it fails.
Its share does not grow.
"""

from dataclasses import replace

from imageclassifier_operator.api import InvalidSpec, RolloutSettings
from imageclassifier_operator.api.json import Json
from imageclassifier_operator.api.removed_fields import with_present_limits
from imageclassifier_operator.observe.types import Snapshot
from imageclassifier_operator.reconcile.request import Request
from imageclassifier_operator.reconcile.requeue import requeue_seconds
from imageclassifier_operator.reconcile.routing_writer import RoutingWriter
from imageclassifier_operator.reconcile.snapshot import Snapshotter
from imageclassifier_operator.reconcile.status_writer import StatusWriter
from imageclassifier_operator.rollout import Decision, decide, goal_while_invalid
from imageclassifier_operator.rollout.state import State


class InvalidSpecReconciler:
    """Reconciles ImageClassifiers with an invalid spec. It writes only the routing, the status and Events."""

    def __init__(
        self, snapshotter: Snapshotter, routing_writer: RoutingWriter, status_writer: StatusWriter
    ) -> None:
        self._snapshotter, self._routing_writer = snapshotter, routing_writer
        self._status_writer = status_writer

    async def reconcile(self, request: Request, state: State, message: str) -> float | None:
        """Reconcile once. Returns the seconds until the next reconciliation is due."""
        request.memory.state = state
        snapshot = await self._snapshotter.take_invalid(request, state)
        decision = _decision(request, state, snapshot)
        if decision.state != state:
            problem = await self._routing_writer.write_routing(request, decision.state)
            if problem is not None:
                decision = Decision(state)
        request.memory.state = decision.state
        self._status_writer.record_transitions(request, decision)
        await self._routing_writer.annotate_gateways(request, decision.state)
        snapshot = self._snapshotter.refresh(snapshot, request, decision.state.revision)
        await self._status_writer.write_invalid_status(request, decision.state, snapshot, message)
        await self._status_writer.post_events(request)
        return requeue_seconds(request, decision, snapshot, None)


def _decision(request: Request, state: State, snapshot: Snapshot) -> Decision:
    rules = request.memory.rules or _rules_in(request.body)
    goal = None if rules is None else goal_while_invalid(state, rules)
    if goal is None:
        return Decision(state)
    decision = decide(goal, state, snapshot, request.now)
    return replace(decision, verify=False, delete_others=False)


def _rules_in(body: Json) -> RolloutSettings | None:
    """The rules in an invalid spec, which a new leader has never seen valid. None if they are invalid too."""
    try:
        return RolloutSettings.parse(with_present_limits((body.get("spec") or {}).get("rollout") or {}))
    except (InvalidSpec, KeyError, TypeError, ValueError, AttributeError):
        return None
