"""One pass over one ImageClassifier: parse, observe, decide, write what differs, report.

Level-based: a pass knows nothing of what woke it, may be cut off at any line, and repeated. It reads from
the cache only, but for children that are seen for the first time.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from imageclassifier_operator import metrics, render
from imageclassifier_operator.api import InvalidSpec, names, parse
from imageclassifier_operator.api.kinds import CONFIG_MAPS, DEPLOYMENTS, PODS, WARNINGS
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.gateway_client import Gateways
from imageclassifier_operator.observe.objects import Objects, is_controlled_by
from imageclassifier_operator.observe.types import Observed, Problem
from imageclassifier_operator.reconcile.children import VERIFY_AGAIN_SECONDS, Children
from imageclassifier_operator.reconcile.context import Found, View
from imageclassifier_operator.reconcile.memory import Memory
from imageclassifier_operator.reconcile.routing_writer import Announcer
from imageclassifier_operator.reconcile.snapshot import Survey
from imageclassifier_operator.reconcile.status_writer import Teller
from imageclassifier_operator.rollout import Decision, Goal, decide, goal_of
from imageclassifier_operator.rollout.recovery import recover
from imageclassifier_operator.rollout.state import State
from imageclassifier_operator.runtime.cache import Cache
from imageclassifier_operator.runtime.client import ApiError, Cluster
from imageclassifier_operator.runtime.gather import all_done
from imageclassifier_operator.runtime.work_queue import Key, RetrySoonError
from imageclassifier_operator.settings import Settings

Json = Mapping[str, Any]

BLOCKED_RETRY_SECONDS = 10.0
"""What is in the way is not watched: it is looked at again this often."""
TRIAL_RETRY_SECONDS = 5.0
"""A version that gets requests is judged this often even while passes fail."""
POLL_SECONDS = 0.1
MAX_POLL_SECONDS = 5.0
"""Gateways are asked this often for an acknowledgement: less often the longer it takes."""


class Reconciler:
    """Everything that a pass needs: the cache to read from, the cluster to write to, the gateways to ask."""

    def __init__(
        self,
        cache: Cache,
        cluster: Cluster,
        gateways: Gateways,
        settings: Settings,
        clock: Callable[[], float] = time.time,
    ) -> None:
        rendering = render.Settings(settings.gateway_image, settings.pod_namespace)
        self._cache, self._settings, self._clock = cache, settings, clock
        self._survey = Survey(cache, gateways, rendering, clock)
        self._children = Children(cache, cluster, rendering)
        self._announcer = Announcer(cache, cluster, self._children, clock)
        self._teller = Teller(cache, cluster, settings.pod_name)
        self._memories: dict[Key, Memory] = {}

    async def reconcile(self, key: Key) -> float | None:
        """One pass. Gives the seconds until the next is due by the clock alone, None when only a change can
        matter.
        """
        body = self._cache.image_classifier(key)
        if body is None:
            self._memories.pop(key, None)
            self._cache.forget(key)
            metrics.tell_conditions(key.namespace, key.name, [])
            return None
        if body["metadata"].get("deletionTimestamp") is not None:
            return None
        try:
            return await self._pass(self._find(key, body))
        except ApiError as error:
            if error.namespace_is_going or self._cache.image_classifier(key) is None:
                return None
            state = self._memories[key].state
            if state is not None and state.on_trial is not None:
                raise RetrySoonError(str(error), TRIAL_RETRY_SECONDS) from error
            raise

    def _find(self, key: Key, body: Json) -> Found:
        uid, now = body["metadata"]["uid"], self._clock()
        memory = self._memories.get(key)
        if memory is None or memory.uid != uid:
            memory = self._memories[key] = Memory(uid, began=now)
        objects = Objects(
            deployments=[d for d in self._cache.of(DEPLOYMENTS, key) if is_controlled_by(d, uid)],
            pods=self._cache.of(PODS, key),
            warnings=self._cache.of(WARNINGS, key),
        )
        return Found(key, body, objects, memory, now)

    async def _pass(self, found: Found) -> float | None:
        state = self._state(found)
        try:
            ic = parse(found.body)
        except InvalidSpec as error:
            seen = self._survey.observe_invalid(found, state)
            await self._teller.tell_invalid(found, state, seen, str(error))
            return None
        view = View(found.key, found.body, found.objects, found.memory, found.now, ic)
        goal = goal_of(ic, self._settings.serving_image, state)
        seen = await self._survey.observe(view, goal, state)
        decision = decide(goal, state, seen, view.now)
        # The routing first, as requests depend on it: what cannot be announced has not happened.
        unannounced, failure = await _tried(self._announcer.announce(view, decision.state))
        if unannounced is None and failure is None:
            view.memory.state = decision.state
            self._teller.note(view, decision)
        else:
            decision = _standing_still(decision, state)
        unwritten, second = await _tried(self._write(view, goal, decision, seen))
        failure = failure or second
        blocked = unannounced or unwritten or _lasting(view.memory, failure)
        if failure is not None and blocked is None:
            raise failure
        view.memory.blocked = blocked
        seen = self._survey.after(seen, view, decision.state.revision)
        await self._teller.tell(view, goal, decision.state, seen, blocked)
        await self._teller.tell_transitions(view)
        if failure is not None:
            raise failure
        return self._next(view, decision, seen, blocked)

    async def _write(self, view: View, goal: Goal, decision: Decision, seen: Observed) -> Problem | None:
        """All but the routing. What could not be written?"""
        _, unwritten = await all_done(
            [
                self._announcer.touch_gateways(view, decision.state),
                self._children.carry_out(view, goal, decision, seen),
            ]
        )
        return unwritten

    def _state(self, found: Found) -> State:
        config_map = self._cache.one(CONFIG_MAPS, found.key, names.routing_name(found.key.name))
        if config_map is not None and not is_controlled_by(config_map, found.memory.uid):
            config_map = None
        status = found.body.get("status") or {}
        deployments = found.objects.serving_deployments().values()
        return recover(config_map, found.memory.state, status, deployments, found.now)

    def _next(self, view: View, decision: Decision, seen: Observed, blocked: Problem | None) -> float | None:
        """Seconds until the clock alone may change something."""
        waits = [] if decision.requeue_seconds is None else [decision.requeue_seconds]
        memory = view.memory
        if decision.state.serving is not None and seen.acknowledged_seconds is None and seen.gateways:
            began = memory.routing_written[1] if memory.routing_written is not None else memory.began
            waits.append(min(MAX_POLL_SECONDS, max(POLL_SECONDS, (view.now - began) / 10)))
        if decision.state.serving is not None:
            again = memory.hearing.ask_again_seconds(decision.state.serving.version, view.now)
            if again is not None:
                waits.append(max(POLL_SECONDS, again))
        if memory.status_due is not None:
            waits.append(max(0.0, memory.status_due - view.now))
        if blocked is not None:
            waits.append(BLOCKED_RETRY_SECONDS)
        if seen.verdict is not None and not seen.verdict.conclusive and decision.verify:
            waits.append(VERIFY_AGAIN_SECONDS)
        return min(waits) if waits else None


async def _tried(write: Awaitable[Problem | None]) -> tuple[Problem | None, ApiError | None]:
    """What keeps it from being written, or the error that it ended with: the pass has more to do."""
    try:
        return await write, None
    except ApiError as error:
        if error.namespace_is_going:
            raise
        return None, error


def _standing_still(decision: Decision, state: State) -> Decision:
    """`decision` without what cannot be announced: everything stays as in `state`, and nothing is deleted."""
    return replace(decision, state=state, happened=(), verify=False, delete_others=False)


def _lasting(memory: Memory, failure: ApiError | None) -> Problem | None:
    """An error of the API server that the pass before ended with too: it may stay, so it is told."""
    before, memory.failing = memory.failing, failure is not None
    if failure is None or not before or not failure.is_answer:
        return None
    said = f"the API server does not take what is to be written: {failure}; it is tried again"
    return Problem(Reason.API_REFUSED, said)
