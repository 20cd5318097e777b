"""Writing the children: each that differs from what is wanted, and deleting those that are wanted no more.

What keeps a child from being written comes back as a `Problem`; what may pass by itself is raised.
"""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from imageclassifier_operator import render
from imageclassifier_operator.api import ImageClassifier, names
from imageclassifier_operator.api.kinds import CHILDREN, DEPLOYMENTS, FIELD_MANAGER, JOBS, Kind, kind_of
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.objects import controller, is_controlled_by, version_of
from imageclassifier_operator.observe.types import Observed, Problem
from imageclassifier_operator.reconcile.context import View
from imageclassifier_operator.render import verification_plan
from imageclassifier_operator.rollout import Decision, Goal
from imageclassifier_operator.rollout.recovery import has_served
from imageclassifier_operator.rollout.state import State
from imageclassifier_operator.runtime.cache import Cache
from imageclassifier_operator.runtime.client import ApiError, Cluster
from imageclassifier_operator.runtime.drift import needs_writing
from imageclassifier_operator.runtime.gather import all_done

logger = logging.getLogger(__name__)

Json = Mapping[str, Any]

VERIFY_AGAIN_SECONDS = 5.0
MAX_VERIFY_AGAIN_SECONDS = 60.0


class BlockedError(Exception):
    """A child cannot be written, and why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def serving_children(view: View, state: State, version: int) -> tuple[render.Manifest, ...]:
    """The children of one kept version. Once marked as having served, a Deployment stays so."""
    live = view.objects.serving_deployments().get(version)
    marked = live is not None and has_served(live)
    serves = state.serving is not None and state.serving.version == version
    return render.serving_children(
        view.ic,
        state.kept[version],
        view.ic.replicas,
        # While only one version exists nothing can be confused, and its first write stays the only one.
        has_served=marked or (serves and len(state.kept) > 1),
    )


class Children:
    """Makes the cluster's objects as decided. Reads from the cache only, but for a child not seen before."""

    def __init__(self, cache: Cache, cluster: Cluster, settings: render.Settings) -> None:
        self._cache, self._cluster, self._settings = cache, cluster, settings

    async def carry_out(self, view: View, goal: Goal, decision: Decision, seen: Observed) -> Problem | None:
        """Write and delete what the decision asks for, but for the routing. What could not be written?"""
        state = decision.state
        wanted = [*render.shared_children(view.ic, self._settings)]
        for version in state.kept:
            wanted += serving_children(view, state, version)
        if decision.verify and state.candidate is not None:
            plan = verification_plan.plan(view.ic, state.candidate, state.serving)
            wanted += render.verify_job(view.ic, state.candidate, plan, goal.attempt, self._settings)
        await self._repeat_verification(view, goal, state, seen)
        problems = await all_done(
            self.ensure(view, manifest)
            for manifest in wanted
            if not _is_used_as_it_was(view, state, decision, manifest)
        )
        await self._remove_others(view, goal, decision, {_id(manifest) for manifest in wanted})
        return next((problem for problem in problems if problem is not None), None)

    async def ensure(self, view: View, manifest: render.Manifest) -> Problem | None:
        """Write one child if need be; what keeps it from being written, if not for the moment only."""
        try:
            await self._ensure(view, manifest)
        except BlockedError as blocked:
            return blocked.problem
        except ApiError as error:
            if not error.is_refusal:
                raise
            return _refusal(manifest, error)
        return None

    async def _ensure(self, view: View, manifest: render.Manifest) -> None:
        """Write one child if it is not as wanted. Raises BlockedError when the name is taken."""
        kind, name = kind_of(manifest), manifest["metadata"]["name"]
        live = self._cache.one(kind, view.key, name)
        if live is None:
            live = await self._cluster.read(kind, view.key.namespace, name)
            if live is not None and is_controlled_by(live, view.ic.uid):
                self._cache.written(kind, view.key, dict(live))
        if live is not None:
            if not is_controlled_by(live, view.ic.uid):
                raise BlockedError(_conflict(kind, live, view.ic))
            if live["metadata"].get("deletionTimestamp") is not None:
                return  # its end will wake us
            if not needs_writing(manifest, live, FIELD_MANAGER):
                return
            if kind is JOBS:
                return  # a Job's template is immutable, and its name says what it is made from
        written = await self._cluster.apply(kind, manifest)
        logger.info("wrote %s %s", kind.kind, name)
        self._cache.written(kind, view.key, written)

    async def _repeat_verification(self, view: View, goal: Goal, state: State, seen: Observed) -> None:
        """Delete a verification Job that ended without a verdict (its node went away, say): it is made
        anew, after ever longer waits.
        """
        if state.candidate is None or seen.verdict is None or seen.verdict.conclusive:
            return
        name = names.verify_name(view.ic.name, state.candidate.version, goal.attempt)
        job, before = self._cache.one(JOBS, view.key, name), view.memory.unverified
        wait = VERIFY_AGAIN_SECONDS * 2 ** (before.tries if before is not None else 0)
        if job is None or view.now - _created(job) < min(wait, MAX_VERIFY_AGAIN_SECONDS):
            return
        if before is not None:
            before.tries = min(before.tries + 1, 8)
        await self._delete(view, JOBS, job)

    async def _remove_others(
        self, view: View, goal: Goal, decision: Decision, wanted: set[tuple[str, str]]
    ) -> None:
        """Delete what is ours and no longer wanted; a version's children only when no gateway uses them any
        more.
        """
        kept = set(decision.state.kept)
        # The last verification of the version asked for stays, for its logs and for status.verification.
        told = names.verify_name(view.ic.name, goal.wanted.version, goal.attempt)
        for kind in CHILDREN:
            for live in self._cache.of(kind, view.key):
                name, version = live["metadata"]["name"], version_of(live)
                if (kind.plural, name) in wanted or name == names.routing_name(view.ic.name):
                    continue
                if not is_controlled_by(live, view.ic.uid) or live["metadata"].get("deletionTimestamp"):
                    continue
                if _is_verification(live):
                    if name == told:
                        continue
                elif version is not None and (version in kept or not decision.delete_others):
                    continue
                await self._delete(view, kind, live)
                logger.info("deleted %s %s", kind.kind, name)

    async def _delete(self, view: View, kind: Kind, live: Json) -> None:
        name, uid = live["metadata"]["name"], live["metadata"]["uid"]
        await self._cluster.delete(kind, view.key.namespace, name, uid)
        self._cache.deleted(kind, view.key, name, uid)


def _is_used_as_it_was(view: View, state: State, decision: Decision, manifest: render.Manifest) -> bool:
    """Whether the pods of a version that is to be made anew (a candidate whose image was mended) may still
    get requests: their Deployment stays until no gateway sends any.
    """
    if decision.delete_others or kind_of(manifest) is not DEPLOYMENTS:
        return False
    version = version_of(manifest)
    live = None if version is None else view.objects.serving_deployments().get(version)
    if live is None or state.serving is None or state.serving.version == version:
        return False
    return _input_hash(live) != _input_hash(manifest)


def _input_hash(deployment: Json) -> str | None:
    annotations = deployment["metadata"].get("annotations") or {}
    return annotations.get(names.ANNOTATION_INPUT_HASH)


def _created(body: Json) -> float:
    return datetime.fromisoformat(body["metadata"]["creationTimestamp"]).timestamp()


def _id(manifest: Json) -> tuple[str, str]:
    return kind_of(manifest).plural, manifest["metadata"]["name"]


def _is_verification(live: Json) -> bool:
    return (live["metadata"].get("labels") or {}).get(names.LABEL_COMPONENT) == "verify"


def _conflict(kind: Kind, live: Json, ic: ImageClassifier) -> Problem:
    owner = controller(live)
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
    said = f"{manifest['kind']} {name} is refused by the API server: {error.message[:500]}"
    if "exceeded quota" in error.message:
        return Problem(Reason.QUOTA_EXCEEDED, f"{said}; raise the quota, or remove what is not needed")
    return Problem(
        Reason.API_REFUSED, f"{said}; correct what it names in the spec, or ask whoever set the rule"
    )
