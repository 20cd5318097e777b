"""What a pass sees: the cache's objects and, when it matters, the gateways' reports, as one `Observed`."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from imageclassifier_operator import metrics, render
from imageclassifier_operator.api import names
from imageclassifier_operator.api.kinds import DEPLOYMENTS, JOBS, SERVICES
from imageclassifier_operator.observe import objects, verdict
from imageclassifier_operator.observe.gateway_client import Gateways
from imageclassifier_operator.observe.pod_problems import diagnose_job, is_ready
from imageclassifier_operator.observe.types import (
    GatewayObserved,
    GatewayReport,
    Observed,
    Problem,
    Verdict,
    VersionReport,
)
from imageclassifier_operator.reconcile.children import serving_children
from imageclassifier_operator.reconcile.context import Found, View
from imageclassifier_operator.reconcile.memory import Memory, Unverified
from imageclassifier_operator.rollout import Goal, needs_reports, unusable_candidate
from imageclassifier_operator.rollout.state import State
from imageclassifier_operator.runtime.cache import Cache

Json = Mapping[str, Any]


class Survey:
    """Looks around for a pass: reads the cache, asks the gateways, and changes nothing but its memory."""

    def __init__(
        self, cache: Cache, gateways: Gateways, settings: render.Settings, clock: Callable[[], float]
    ) -> None:
        self._cache, self._gateways = cache, gateways
        self._settings, self._clock = settings, clock

    async def observe(self, view: View, goal: Goal, state: State) -> Observed:
        pods, memory = view.objects.gateway_pods(), view.memory
        memory.forget_pods(pods)
        ready = [pod for pod in pods if is_ready(pod)]
        acknowledged = memory.acknowledged_seconds(state.revision, ready, view.now) is not None
        reports: Mapping[str, GatewayReport] = {}
        if state.serving is not None:
            version, hearing = state.serving.version, memory.hearing
            servers = [pod for pod in view.objects.serving_pods(version) if is_ready(pod)]
            hearing.look([*ready, *servers], view.now)
            if needs_reports(state, acknowledged) or hearing.ask_again_seconds(version, view.now) == 0:
                reports = await self._gateways.ask(pods)
                memory.hear(reports)
                hearing.hear(version, reports, view.now)
                self._measure(memory, state.revision, ready)
        wanted = {version: serving_children(view, state, version)[0] for version in state.kept}
        gateway = self._cache.one(DEPLOYMENTS, view.key, names.gateway_name(view.ic.name))
        gateway_wanted = render.shared_children(view.ic, self._settings)[0]
        name = names.verify_name(view.ic.name, goal.wanted.version, goal.attempt)
        job = self._cache.one(JOBS, view.key, name)
        verdict = self._verdict(view, goal, job)
        seen = Observed(
            versions=objects.versions(view.objects, wanted),
            gateways=_gateways(view, state, reports),
            gateways_complete=gateway is not None and objects.is_complete(gateway, gateway_wanted),
            gateway_problem=objects.gateway_problem(view.objects, gateway),
            acknowledged_seconds=memory.acknowledged_seconds(state.revision, ready, view.now),
            verdict=verdict,
            unverified=self._unverified(view, name, job, verdict),
            blocked=memory.blocked,
        )
        unusable = unusable_candidate(state, seen)
        return replace(seen, unusable_seconds=memory.unusable_seconds(unusable, view.now))

    def observe_invalid(self, found: Found, state: State) -> Observed:
        """What is seen while the spec cannot be rendered: what is there is then what is wanted."""
        gateway = self._cache.one(DEPLOYMENTS, found.key, names.gateway_name(found.key.name))
        return Observed(
            versions=objects.versions(found.objects, found.objects.serving_deployments()),
            gateways=_gateways(found, state, {}),
            gateways_complete=gateway is not None and objects.is_complete(gateway, gateway),
            gateway_problem=objects.gateway_problem(found.objects, gateway),
            service_is_ours=self._service_is_ours(found),
        )

    def after(self, seen: Observed, view: View, revision: int) -> Observed:
        """What was seen, less what the pass has made old: the routing, now `revision`, and the Service."""
        ready = [pod for pod in view.objects.gateway_pods() if is_ready(pod)]
        told = view.memory.acknowledged
        late = [p["metadata"]["name"] for p in ready if told.get(p["metadata"]["uid"]) != revision]
        return replace(
            seen,
            acknowledged_seconds=view.memory.acknowledged_seconds(revision, ready, view.now),
            unacknowledged=tuple(sorted(late)),
            service_is_ours=self._service_is_ours(view),
        )

    def _service_is_ours(self, found: Found) -> bool:
        service = self._cache.one(SERVICES, found.key, names.gateway_name(found.key.name))
        return service is not None and objects.is_controlled_by(service, found.memory.uid)

    def _measure(self, memory: Memory, revision: int, ready: list[Json]) -> None:
        """How long it took from the routing write to the last gateway, once for each write of ours."""
        written, now = memory.routing_written, self._clock()
        if written is None or written[0] != revision or memory.measured == revision:
            return
        if memory.acknowledged_seconds(revision, ready, now) is not None:
            memory.measured = revision
            metrics.ROUTING_SECONDS.observe(now - written[1])

    def _verdict(self, view: View, goal: Goal, job: Json | None) -> Verdict | None:
        """Of the version asked for, also after the rollout: the Job stays as long as the version does."""
        found = None if job is None else verdict.verdict(job, view.objects.pods_of(job))
        return None if found is None else replace(found, version=goal.wanted.version)

    def _unverified(self, view: View, name: str, job: Json | None, verdict: Verdict | None) -> Problem | None:
        """What keeps the verification from a verdict. Why it ended without one is told until it has one: the
        Job is made anew meanwhile, and the sentence must not come and go with it."""
        memory = view.memory
        if memory.unverified is not None and memory.unverified.job != name:
            memory.unverified = None
        if verdict is not None:
            if verdict.conclusive:
                memory.unverified = None
            else:
                tries = 0 if memory.unverified is None else memory.unverified.tries
                memory.unverified = Unverified(name, Problem(verdict.reason, verdict.message), tries)
        elif job is not None and (
            problem := diagnose_job(job, view.objects.pods_of(job), view.objects.warnings)
        ):
            return problem
        return None if memory.unverified is None else memory.unverified.problem


def _gateways(
    found: Found, state: State, reports: Mapping[str, GatewayReport]
) -> tuple[GatewayObserved, ...]:
    def serving(uid: str) -> VersionReport | None:
        if state.serving is None:
            return None
        return found.memory.hearing.said(uid, state.serving.version, found.now)

    return tuple(
        GatewayObserved(
            pod=pod["metadata"]["name"],
            ready=is_ready(pod),
            report=reports.get(pod["metadata"]["uid"]),
            serving=serving(pod["metadata"]["uid"]),
        )
        for pod in found.objects.gateway_pods()
    )
