"""One pass over one ImageClassifier: parse, observe, decide, write what differs, report.

Level-based: a pass knows nothing of what woke it, may be cut off at any line, and repeated. It reads from
the cache only, but for children that are seen for the first time.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from imageclassifier_operator import desired, events, metrics, names, observe, report, routing, verification
from imageclassifier_operator.cache import Cache
from imageclassifier_operator.cluster import ApiError, Cluster
from imageclassifier_operator.compare import needs_writing
from imageclassifier_operator.decide import Decision, Goal, decide, goal_of, needs_reports
from imageclassifier_operator.diagnosis import is_ready
from imageclassifier_operator.kinds import (
    CHILDREN,
    CONFIG_MAPS,
    DEPLOYMENTS,
    FIELD_MANAGER,
    IMAGE_CLASSIFIERS,
    JOBS,
    PODS,
    SERVICES,
    STATUS_FIELD_MANAGER,
    WARNINGS,
    Kind,
    kind_of,
)
from imageclassifier_operator.memory import Memory
from imageclassifier_operator.observed import GatewayObserved, Observed, Problem, Verdict
from imageclassifier_operator.observers import Gateways
from imageclassifier_operator.queue import Key
from imageclassifier_operator.reasons import Reason
from imageclassifier_operator.recover import has_served, recover
from imageclassifier_operator.settings import Settings
from imageclassifier_operator.spec import ImageClassifier, ImageSource, InvalidSpec, parse
from imageclassifier_operator.state import State

logger = logging.getLogger(__name__)

Json = Mapping[str, Any]

TOUCH_ANNOTATION = f"{names.GROUP}/routing"
BLOCKED_RETRY_SECONDS = 30.0
VERIFY_AGAIN_SECONDS = 5.0
POLL_SECONDS = 0.1
MAX_POLL_SECONDS = 5.0
"""Gateways are asked this often for an acknowledgement: less often the longer it takes."""
STATUS_LAG_SECONDS = 2.0
"""Figures of a status that change all the time are written at most this often; a condition is written at
once.
"""


class BlockedError(Exception):
    """A child cannot be written, and why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


@dataclass(frozen=True)
class View:
    """What a pass starts from."""

    key: Key
    ic: ImageClassifier
    body: Json
    objects: observe.Objects
    memory: Memory
    now: float


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
        self._cache, self._cluster, self._gateways = cache, cluster, gateways
        self._settings, self._clock = settings, clock
        self._desired_settings = desired.Settings(settings.gateway_image, settings.pod_namespace)
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
            return await self._pass(key, body)
        except ApiError as error:
            if error.namespace_is_going or self._cache.image_classifier(key) is None:
                return None
            raise

    async def _pass(self, key: Key, body: Json) -> float | None:
        uid, now = body["metadata"]["uid"], self._clock()
        memory = self._memories.get(key)
        if memory is None or memory.uid != uid:
            memory = self._memories[key] = Memory(uid, began=now)
        objects = observe.Objects(
            deployments=[d for d in self._cache.of(DEPLOYMENTS, key) if _is_controlled_by(d, uid)],
            pods=self._cache.of(PODS, key),
            warnings=self._cache.of(WARNINGS, key),
        )
        state = self._state(key, body, objects, memory, now)
        try:
            ic = parse(body)
        except InvalidSpec as error:
            await self._report_invalid(key, body, objects, state, memory, str(error), now)
            return None
        view = View(key, ic, body, objects, memory, now)
        goal = goal_of(ic, self._settings.serving_image, state)
        seen = await self._observe(view, goal, state)
        decision = decide(goal, state, seen, now)
        for happened in decision.happened:
            logger.info(
                "%s: %s", happened.name, happened.blame.message if happened.blame else happened.meaning
            )
            metrics.TRANSITIONS.labels(happened.name).inc()
        blocked = await self._carry_out(view, goal, decision, seen)
        after = self._seen_after(seen, decision, view)
        await self._report(view, goal, decision.state, after, blocked)
        for happened in decision.happened:
            event = events.of_transition(ic, happened, decision.state.revision, self._settings.pod_name, now)
            await self._cluster.create_event(key.namespace, event)
        return self._next(view, decision, after, blocked)

    # -- observing --------------------------------------------------------------------------------------

    def _state(self, key: Key, body: Json, objects: observe.Objects, memory: Memory, now: float) -> State:
        config_map = self._cache.one(CONFIG_MAPS, key, names.routing_name(key.name))
        if config_map is not None and not _is_controlled_by(config_map, body["metadata"]["uid"]):
            config_map = None
        status = body.get("status") or {}
        return recover(config_map, memory.state, status, objects.serving_deployments().values(), now)

    async def _observe(self, view: View, goal: Goal, state: State) -> Observed:
        pods, memory = view.objects.gateway_pods(), view.memory
        memory.forget_pods(pods)
        ready = [pod for pod in pods if is_ready(pod)]
        acknowledged = memory.acknowledged_seconds(state.revision, ready, view.now) is not None
        reports = {}
        if state.serving is not None and needs_reports(state, acknowledged):
            reports = await self._gateways.ask(pods)
            memory.hear(reports)
            self._measure(memory, state.revision, ready)
        wanted = {version: self._serving(view, state, version)[0] for version in state.kept}
        gateway = self._cache.one(DEPLOYMENTS, view.key, names.gateway_name(view.ic.name))
        gateway_wanted = desired.shared_children(view.ic, self._desired_settings)[0]
        return Observed(
            versions=observe.versions(view.objects, wanted),
            gateways=tuple(
                GatewayObserved(pod["metadata"]["name"], is_ready(pod), reports.get(pod["metadata"]["uid"]))
                for pod in pods
            ),
            gateways_complete=gateway is not None and observe.is_complete(gateway, gateway_wanted),
            gateway_problem=observe.gateway_problem(view.objects, gateway),
            acknowledged_seconds=memory.acknowledged_seconds(state.revision, ready, view.now),
            verdict=self._verdict(view, goal),
        )

    def _measure(self, memory: Memory, revision: int, ready: list[Json]) -> None:
        """How long it took from the routing write to the last gateway, once for each write of ours."""
        written, now = memory.routing_written, self._clock()
        if written is None or written[0] != revision or memory.measured == revision:
            return
        if memory.acknowledged_seconds(revision, ready, now) is not None:
            memory.measured = revision
            metrics.ROUTING_SECONDS.observe(now - written[1])

    def _verdict(self, view: View, goal: Goal) -> Verdict | None:
        """Of the version asked for, also after the rollout: the Job stays as long as the version does."""
        version = goal.wanted.version
        job = self._cache.one(JOBS, view.key, names.verify_name(view.ic.name, version, goal.attempt))
        verdict = None if job is None else verification.verdict(job, view.objects.pods_of(job))
        return None if verdict is None else replace(verdict, version=version)

    def _seen_after(self, seen: Observed, decision: Decision, view: View) -> Observed:
        """What was seen, less what the routing's change has made old."""
        ready = [pod for pod in view.objects.gateway_pods() if is_ready(pod)]
        revision = decision.state.revision
        late = [p["metadata"]["name"] for p in ready if view.memory.acknowledged.get(_uid(p)) != revision]
        return replace(
            seen,
            acknowledged_seconds=view.memory.acknowledged_seconds(revision, ready, view.now),
            unacknowledged=tuple(sorted(late)),
        )

    # -- writing ----------------------------------------------------------------------------------------

    async def _carry_out(self, view: View, goal: Goal, decision: Decision, seen: Observed) -> Problem | None:
        """Make the cluster as decided; the routing first, as requests depend on it. What could not be
        written?
        """
        state = decision.state
        routing_problem = await self._write_routing(view, goal, state)
        view.memory.state = state
        wanted = [*desired.shared_children(view.ic, self._desired_settings)]
        for version in state.kept:
            wanted += self._serving(view, state, version)
        if decision.verify and state.candidate is not None:
            wanted += self._verify(view, goal, state)
        await self._repeat_verification(view, goal, state, seen)
        problems = await asyncio.gather(*(self._try_to_ensure(view, manifest) for manifest in wanted))
        await self._remove_others(view, state, decision, {_id(manifest) for manifest in wanted})
        return next((problem for problem in (routing_problem, *problems) if problem is not None), None)

    async def _write_routing(self, view: View, goal: Goal, state: State) -> Problem | None:
        document = routing.routing_file(view.ic.name, view.ic.namespace, state, goal.rollout.sticky)
        if document is None:
            return None
        text = routing.to_text(document)
        manifest = desired.routing_config_map(view.ic, text, routing.sealed(state, text))
        name, last = manifest["metadata"]["name"], view.memory.routing_written
        is_new = last is None or last[0] != state.revision
        before = self._cache.one(CONFIG_MAPS, view.key, name)
        problem = await self._try_to_ensure(view, manifest)
        if problem is not None:
            return problem
        if is_new and self._cache.one(CONFIG_MAPS, view.key, name) is not before:
            view.memory.routing_written = (state.revision, self._clock())
        await self._touch_gateways(view, state)
        return None

    async def _touch_gateways(self, view: View, state: State) -> None:
        """Have the kubelets look at the routing ConfigMap now, not in a minute."""
        pods = [
            pod
            for pod in view.objects.gateway_pods()
            if pod["status"].get("podIP") and view.memory.needs_touch(pod, state.revision, view.now)
        ]
        await asyncio.gather(*(self._touch(view, pod, state.revision) for pod in pods))

    async def _touch(self, view: View, pod: Json, revision: int) -> None:
        count = view.memory.touched(pod, revision, view.now)
        metadata = pod["metadata"]
        try:
            await self._cluster.annotate_pod(
                metadata["namespace"], metadata["name"], {TOUCH_ANNOTATION: f"{revision}.{count}"}
            )
        except ApiError as error:
            if error.status != 404:
                raise

    def _serving(self, view: View, state: State, version: int) -> tuple[dict[str, Any], ...]:
        """The children of one kept version. Once marked as having served, a Deployment stays so."""
        live = view.objects.serving_deployments().get(version)
        marked = live is not None and has_served(live)
        serves = state.serving is not None and state.serving.version == version
        return desired.serving_children(
            view.ic,
            state.kept[version],
            view.ic.replicas,
            # While only one version exists nothing can be confused, and its first write stays the only one.
            has_served=marked or (serves and len(state.kept) > 1),
        )

    def _verify(self, view: View, goal: Goal, state: State) -> tuple[dict[str, Any], ...]:
        assert state.candidate is not None
        plan = verification.plan(view.ic, state.candidate, state.serving)
        return desired.verify_job(view.ic, state.candidate, plan, goal.attempt, self._desired_settings)

    async def _repeat_verification(self, view: View, goal: Goal, state: State, seen: Observed) -> None:
        """Delete a verification Job that ended without a verdict (its node went away, say): it is made
        anew.
        """
        if state.candidate is None or seen.verdict is None or seen.verdict.conclusive:
            return
        name = names.verify_name(view.ic.name, state.candidate.version, goal.attempt)
        job = self._cache.one(JOBS, view.key, name)
        if job is None or view.now - _created(job) < VERIFY_AGAIN_SECONDS:
            return
        await self._cluster.delete(JOBS, view.key.namespace, name, job["metadata"]["uid"])
        self._cache.deleted(JOBS, view.key, name, job["metadata"]["uid"])

    async def _try_to_ensure(self, view: View, manifest: dict[str, Any]) -> Problem | None:
        """Write one child if need be; what keeps it from being written, if not for the moment only."""
        try:
            await self._ensure(view, manifest)
        except BlockedError as blocked:
            return blocked.problem
        except ApiError as error:
            if error.status not in (400, 403, 422) or error.namespace_is_going:
                raise
            return _refusal(manifest, error)
        return None

    async def _ensure(self, view: View, manifest: dict[str, Any]) -> bool:
        """Write one child if it is not as wanted; whether it was written. Raises BlockedError when the name
        is taken.
        """
        kind, name = kind_of(manifest), manifest["metadata"]["name"]
        live = self._cache.one(kind, view.key, name)
        if live is None:
            live = await self._cluster.read(kind, view.key.namespace, name)
            if live is not None and _is_controlled_by(live, view.ic.uid):
                self._cache.written(kind, view.key, dict(live))
        if live is not None:
            if not _is_controlled_by(live, view.ic.uid):
                raise BlockedError(_conflict(kind, live, view.ic))
            if live["metadata"].get("deletionTimestamp") is not None:
                return False  # its end will wake us
            if not needs_writing(manifest, live, FIELD_MANAGER):
                return False
            if kind is JOBS:
                return False  # a Job's template is immutable, and its name says what it is made from
        written = await self._cluster.apply(kind, manifest)
        logger.info("wrote %s %s", kind.kind, name)
        self._cache.written(kind, view.key, written)
        return True

    async def _remove_others(
        self, view: View, state: State, decision: Decision, wanted: set[tuple[str, str]]
    ) -> None:
        """Delete what is ours and no longer wanted; a version's children only when no gateway uses them any
        more.
        """
        kept = set(state.kept)
        tried = kept | {view.ic.model.version}  # the Job of a version that failed stays, for its logs
        for kind in CHILDREN:
            for live in self._cache.of(kind, view.key):
                name, version = live["metadata"]["name"], observe.version_of(live)
                if (kind.plural, name) in wanted or name == names.routing_name(view.ic.name):
                    continue
                if not _is_controlled_by(live, view.ic.uid) or live["metadata"].get("deletionTimestamp"):
                    continue
                if _is_verification(live):
                    if version in tried:
                        continue
                elif version is not None and (version in kept or not decision.delete_others):
                    continue
                await self._cluster.delete(kind, view.key.namespace, name, live["metadata"]["uid"])
                self._cache.deleted(kind, view.key, name, live["metadata"]["uid"])
                logger.info("deleted %s %s", kind.kind, name)

    # -- reporting --------------------------------------------------------------------------------------

    async def _report(
        self, view: View, goal: Goal | None, state: State, seen: Observed, blocked: Problem | None
    ) -> None:
        ic = view.ic
        service = self._cache.one(SERVICES, view.key, names.gateway_name(ic.name))
        # A model from a volume has no digest: the init container's image is then the model server's.
        from_image = state.serving is not None and isinstance(state.serving.source, ImageSource)
        model_pods = view.objects.serving_pods(state.serving.version) if state.serving and from_image else []
        facts = report.Facts(
            name=ic.name,
            generation=ic.generation,
            url=observe.url(ic, service),
            model_digest=observe.model_digest(model_pods),
            blocked=blocked,
        )
        await self._write_status(view.key, view.body, view.memory, facts, goal, state, seen, view.now)
        told = blocked or (goal.refused if goal is not None else None)
        if told is not None and told != view.memory.told_problem:
            event = events.of_problem(ic, told, self._settings.pod_name, view.now)
            await self._cluster.create_event(view.key.namespace, event)
        view.memory.told_problem = told

    async def _report_invalid(
        self,
        key: Key,
        body: Json,
        objects: observe.Objects,
        state: State,
        memory: Memory,
        sentence: str,
        now: float,
    ) -> None:
        """A spec that cannot be acted on: everything stays as it is, and the status says why."""
        facts = report.Facts(
            name=key.name,
            generation=body["metadata"].get("generation", 0),
            blocked=Problem(Reason.INVALID_SPEC, sentence),
        )
        pods = objects.gateway_pods()
        gateway = self._cache.one(DEPLOYMENTS, key, names.gateway_name(key.name))
        seen = Observed(
            # Nothing can be rendered, so what is there is what is wanted.
            versions=observe.versions(objects, objects.serving_deployments()),
            gateways=tuple(GatewayObserved(pod["metadata"]["name"], is_ready(pod)) for pod in pods),
            gateways_complete=gateway is not None and observe.is_complete(gateway, gateway),
            gateway_problem=observe.gateway_problem(objects, gateway),
        )
        await self._write_status(key, body, memory, facts, None, state, seen, now)

    async def _write_status(
        self,
        key: Key,
        body: Json,
        memory: Memory,
        facts: report.Facts,
        goal: Goal | None,
        state: State,
        seen: Observed,
        now: float,
    ) -> None:
        live = body.get("status") or {}
        status = report.status(facts, goal, state, seen, live, now)
        metrics.tell_conditions(key.namespace, key.name, status["conditions"])
        if not needs_writing({"status": status}, body, STATUS_FIELD_MANAGER, "status"):
            memory.status_due = None
            return
        if not report.is_urgent(status, live):
            memory.status_due = memory.status_due or now + STATUS_LAG_SECONDS
            if now < memory.status_due:
                return
        memory.status_due = None
        written = await self._cluster.apply_status(key.namespace, key.name, status)
        self._cache.written(IMAGE_CLASSIFIERS, key, written)

    def _next(self, view: View, decision: Decision, seen: Observed, blocked: Problem | None) -> float | None:
        """Seconds until the clock alone may change something."""
        waits = [] if decision.requeue_seconds is None else [decision.requeue_seconds]
        memory = view.memory
        if decision.state.serving is not None and seen.acknowledged_seconds is None and seen.gateways:
            began = memory.routing_written[1] if memory.routing_written is not None else memory.began
            waits.append(min(MAX_POLL_SECONDS, max(POLL_SECONDS, (view.now - began) / 10)))
        if memory.status_due is not None:
            waits.append(max(0.0, memory.status_due - view.now))
        if blocked is not None:
            waits.append(BLOCKED_RETRY_SECONDS)
        if seen.verdict is not None and not seen.verdict.conclusive and decision.verify:
            waits.append(VERIFY_AGAIN_SECONDS)
        return min(waits) if waits else None


def _is_controlled_by(body: Json, uid: str) -> bool:
    owner = observe.controller(body)
    return owner is not None and owner["uid"] == uid


def _uid(body: Json) -> str:
    uid: str = body["metadata"]["uid"]
    return uid


def _created(body: Json) -> float:
    return datetime.fromisoformat(body["metadata"]["creationTimestamp"]).timestamp()


def _id(manifest: Json) -> tuple[str, str]:
    return kind_of(manifest).plural, manifest["metadata"]["name"]


def _is_verification(live: Json) -> bool:
    return (live["metadata"].get("labels") or {}).get(names.LABEL_COMPONENT) == "verify"


def _conflict(kind: Kind, live: Json, ic: ImageClassifier) -> Problem:
    owner = observe.controller(live)
    name = live["metadata"]["name"]
    if owner is None:
        whose = "belongs to nobody"
    elif owner["kind"] == names.KIND and owner["name"] == ic.name:
        whose = "belongs to a former ImageClassifier of this name and is about to be removed"
    else:
        whose = f"belongs to {owner['kind']} {owner['name']}"
    return Problem(
        Reason.CONFLICT,
        f"{kind.kind} {name} exists already and {whose}: delete or rename it, "
        "or give the ImageClassifier another name",
    )


def _refusal(manifest: Json, error: ApiError) -> Problem:
    name = manifest["metadata"]["name"]
    reason = Reason.QUOTA_EXCEEDED if "exceeded quota" in error.message else Reason.API_REFUSED
    return Problem(reason, f"{manifest['kind']} {name} is refused by the API server: {error.message[:500]}")
