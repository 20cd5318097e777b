"""The writer of children: applies each child that differs from its manifest, and deletes unwanted ones.

A problem that lasts (a name conflict, a refusal) is returned as a `Problem`. An error that may pass by itself
is raised.
"""

import logging
from typing import Any

from imageclassifier_operator import render
from imageclassifier_operator.api import names
from imageclassifier_operator.api.json import Json
from imageclassifier_operator.api.kinds import CHILDREN, DEPLOYMENTS, FIELD_MANAGER, JOBS, Kind, kind_of
from imageclassifier_operator.observe.model_deployments import has_served, input_hash, present_pod_hash
from imageclassifier_operator.observe.objects import is_controlled_by, is_written_from, version_of
from imageclassifier_operator.observe.types import Problem, Snapshot
from imageclassifier_operator.reconcile import write_problems
from imageclassifier_operator.reconcile.request import ValidRequest
from imageclassifier_operator.render import verification_plan
from imageclassifier_operator.rollout import Decision, Goal
from imageclassifier_operator.rollout.state import State
from imageclassifier_operator.runtime.added_fields import added_fields
from imageclassifier_operator.runtime.api_error import ApiError
from imageclassifier_operator.runtime.cache import Cache
from imageclassifier_operator.runtime.client import KubernetesClient
from imageclassifier_operator.runtime.drift import live_values, needs_apply
from imageclassifier_operator.runtime.fields_of_creation import has_fields_of_creation
from imageclassifier_operator.runtime.gather import gather_all

logger = logging.getLogger(__name__)

VERIFY_AGAIN_SECONDS = 5.0
MAX_VERIFY_AGAIN_SECONDS = 60.0
MAX_COUNTED_VERIFICATIONS = 8
"""Further retries no longer lengthen the back-off, which has long reached its maximum."""


class BlockedError(Exception):
    """A child cannot be written; `problem` says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def serving_children(request: ValidRequest, state: State, version: int) -> tuple[render.Manifest, ...]:
    """The manifests of one kept version. A Deployment keeps the mark that it has served."""
    live = request.objects.serving_deployments().get(version)
    marked = live is not None and has_served(live)
    serves = state.serving is not None and state.serving.version == version
    served = state.kept[version]
    replicas = 0 if request.ic.stopped else state.replicas(request.ic.replicas)
    # A single version needs no mark, and without it the first write stays the only one.
    is_marked = marked or (serves and len(state.kept) > 1)
    pod_hash = None if live is None else present_pod_hash(live, served)
    made_from = served, replicas, is_marked, pod_hash
    known = request.rendered.get(version)
    if known is not None and known[0] == made_from:
        return known[1]
    children = render.serving_children(
        request.ic,
        served,
        replicas,
        has_served=is_marked,
        pod_hash=pod_hash,
        installation=request.installation,
    )
    request.rendered[version] = made_from, children
    return children


class Children:
    """Writes and deletes the children of one ImageClassifier at a time."""

    def __init__(self, cache: Cache, client: KubernetesClient) -> None:
        self._cache, self._client = cache, client

    async def apply_children(
        self, request: ValidRequest, goal: Goal, decision: Decision, snapshot: Snapshot
    ) -> Problem | None:
        """Write and delete children as decided, all but the routing. Returns what prevents a write."""
        state = decision.state
        may_shrink = not state.keeps_replicas
        wanted = [
            request.wanted_gateway,
            *render.shared_children(request.ic, request.installation, may_shrink=may_shrink),
        ]
        for version in state.kept:
            wanted += serving_children(request, state, version)
        if decision.verify and state.candidate is not None:
            plan = verification_plan.plan(request.ic, state.candidate, state.serving)
            wanted += render.verify_job(request.ic, state.candidate, plan, goal.attempt, request.installation)
        if decision.verify:
            await self._retry_verification(request, goal, state, snapshot)
        problems = await gather_all(
            self.ensure(request, manifest)
            for manifest in wanted
            if not _must_drain_first(request, state, decision, manifest)
            and not (request.kept_gateway is not None and manifest is request.wanted_gateway)
        )
        await self._delete_unwanted(request, goal, decision, {_id(manifest) for manifest in wanted})
        return next((problem for problem in problems if problem is not None), None)

    async def ensure(self, request: ValidRequest, manifest: render.Manifest) -> Problem | None:
        """Write one child if it differs. Returns what prevents the write, if that may last."""
        try:
            await self._ensure(request, manifest)
        except BlockedError as blocked:
            return blocked.problem
        except ApiError as error:
            if kind_of(manifest).optional and error.status == 404 and not error.namespace_is_terminating:
                return write_problems.missing_kind(manifest)
            if not error.is_refusal:
                raise
            return write_problems.refusal(manifest, error)
        return None

    async def _ensure(self, request: ValidRequest, manifest: render.Manifest) -> None:
        """Write one child if it differs. Raises BlockedError when another object has its name."""
        kind, name = kind_of(manifest), manifest["metadata"]["name"]
        known = self._cache.versions(kind, request.key).get(name)
        checked = request.memory.checked.get((kind.plural, name))
        if known is not None and checked == (_fingerprint(manifest), known.version):
            return
        live = self._cache.get(kind, request.key, name)
        if live is None:
            live = await self._create(request, kind, manifest)
        if live is None:
            return
        if not is_controlled_by(live, request.ic.uid):
            raise BlockedError(write_problems.conflict(kind, live, request.ic))
        if live["metadata"].get("deletionTimestamp") is not None:
            return  # the event of its deletion starts the next reconciliation
        if kind is JOBS:
            # A Job's template is immutable. If it still waits for a node, a changed spec gets another Job.
            if not is_written_from(live, manifest) and request.objects.waits(live):
                await self._delete(request, kind, live)
            return
        live = await self._remove_added_fields(request, kind, manifest, live)
        if not needs_apply(manifest, live, FIELD_MANAGER) or _is_rewritten(request, kind, manifest, live):
            request.memory.checked[kind.plural, name] = (
                _fingerprint(manifest),
                live["metadata"]["resourceVersion"],
            )
            return
        if has_fields_of_creation(live):
            self._cache.record_write(kind, request.key, await self._client.claim_fields(kind, live))
        written = await self._client.apply(kind, manifest)
        logger.info("Wrote %s %s", kind.kind, name)
        self._cache.record_write(kind, request.key, written)
        _record_rewriting(request, kind, manifest, written)

    async def _remove_added_fields(
        self, request: ValidRequest, kind: Kind, manifest: render.Manifest, live: Json
    ) -> Json:
        """Remove the fields that somebody added to a child and that allow more than its manifest does."""
        name, admitted = live["metadata"]["name"], request.memory.admitted
        found = [each for each in added_fields(manifest, live) if (kind.plural, name, each) not in admitted]
        if not found:
            return live
        cleaned = await self._client.remove_fields(kind, live, found)
        logger.warning("Removed %s from %s %s", ", ".join(found), kind.kind, name)
        self._record(request, kind, manifest, cleaned)
        return cleaned

    def _record(
        self, request: ValidRequest, kind: Kind, manifest: render.Manifest, written: dict[str, Any]
    ) -> None:
        """Record the response to a write of a child.

        Nobody else can have added fields to it yet. So added fields come from admission, which would add
        them again. They stay.
        """
        self._cache.record_write(kind, request.key, written)
        name = written["metadata"]["name"]
        request.memory.admitted.update((kind.plural, name, each) for each in added_fields(manifest, written))

    async def _create(self, request: ValidRequest, kind: Kind, manifest: render.Manifest) -> Json | None:
        """Create a child that the cache does not have. Returns the object that has its name already."""
        name = manifest["metadata"]["name"]
        try:
            created = await self._client.create(kind, request.key.namespace, manifest)
        except ApiError as error:
            if error.status != 409:
                raise
            live = await self._client.find(kind, request.key.namespace, name)
            if live is None:
                raise  # it was deleted just now
            if is_controlled_by(live, request.ic.uid):
                self._cache.record_write(kind, request.key, live)
            return live
        logger.info("Created %s %s", kind.kind, name)
        self._record(request, kind, manifest, created)
        _record_rewriting(request, kind, manifest, created)
        return None

    async def _retry_verification(
        self, request: ValidRequest, goal: Goal, state: State, snapshot: Snapshot
    ) -> None:
        """Delete a verification Job that ended without a verdict, so that it is created again.

        A Job ends so when its node fails, for example. The back-off grows with each retry.
        """
        if state.candidate is None or snapshot.verdict is None or snapshot.verdict.conclusive:
            return
        name = names.verify_name(request.ic.name, state.candidate.version, goal.attempt)
        job, unfinished = self._cache.get(JOBS, request.key, name), request.memory.unfinished_verification
        if job is None or unfinished is None:
            return
        wait = min(VERIFY_AGAIN_SECONDS * 2**unfinished.tries, MAX_VERIFY_AGAIN_SECONDS)
        if request.now - unfinished.seen < wait:
            return
        unfinished.tries = min(unfinished.tries + 1, MAX_COUNTED_VERIFICATIONS)
        await self._delete(request, JOBS, job)

    async def _delete_unwanted(
        self, request: ValidRequest, goal: Goal, decision: Decision, wanted: set[tuple[str, str]]
    ) -> None:
        """Delete children that are not wanted any more; those of a version only after it is drained."""
        kept = set(decision.state.kept)
        # The last verification of the wanted version stays, for its logs and for status.verification.
        reported = names.verify_name(request.ic.name, goal.wanted.version, goal.attempt)
        for kind in CHILDREN:
            for name in self._cache.versions(kind, request.key):
                if (kind.plural, name) in wanted or name == names.routing_name(request.ic.name):
                    continue
                live = self._cache.get(kind, request.key, name)
                if live is None:
                    continue
                metadata, version = live["metadata"], version_of(live)
                if not is_controlled_by(live, request.ic.uid) or metadata.get("deletionTimestamp"):
                    continue
                if _is_verification(live):
                    if name == reported:
                        continue
                elif version is not None and version not in kept and not decision.delete_others:
                    continue
                await self._delete(request, kind, live)
                logger.info("Deleted %s %s", kind.kind, name)

    async def _delete(self, request: ValidRequest, kind: Kind, live: Json) -> None:
        name, uid = live["metadata"]["name"], live["metadata"]["uid"]
        await self._client.delete(kind, request.key.namespace, name, uid)
        request.memory.checked.pop((kind.plural, name), None)
        request.memory.rewritten.pop((kind.plural, name), None)
        self._cache.record_deletion(kind, request.key, name, uid)


def _record_rewriting(request: ValidRequest, kind: Kind, manifest: Json, written: Json) -> None:
    """Record what admission made of `manifest`, if the response to its write differs from it.

    To apply it again would give the same. An apply with each reconciliation would never end.
    """
    name = written["metadata"]["name"]
    request.memory.rewritten.pop((kind.plural, name), None)
    if needs_apply(manifest, written, FIELD_MANAGER):
        logger.info("Admission changes %s %s", kind.kind, name)
        values = live_values(written, manifest)
        request.memory.rewritten[kind.plural, name] = (_fingerprint(manifest), values)


def _is_rewritten(request: ValidRequest, kind: Kind, manifest: Json, live: Json) -> bool:
    """Whether `live` is still what admission made of this manifest."""
    rewritten = request.memory.rewritten.get((kind.plural, live["metadata"]["name"]))
    return rewritten is not None and rewritten == (_fingerprint(manifest), live_values(live, manifest))


def _must_drain_first(
    request: ValidRequest, state: State, decision: Decision, manifest: render.Manifest
) -> bool:
    """True while a gateway may still send requests to the old pods of this version number.

    A candidate that was corrected in mid-rollout keeps its old Deployment until then.
    """
    if decision.delete_others or kind_of(manifest) is not DEPLOYMENTS:
        return False
    version = version_of(manifest)
    live = None if version is None else request.objects.serving_deployments().get(version)
    if live is None or state.serving is None or state.serving.version == version:
        return False
    return input_hash(live) != input_hash(manifest)


def _id(manifest: Json) -> tuple[str, str]:
    return kind_of(manifest).plural, manifest["metadata"]["name"]


def _fingerprint(manifest: Json) -> str:
    """What two manifests of one child differ in. Their own hash leaves the replicas out."""
    hashed: str = manifest["metadata"]["annotations"][names.ANNOTATION_MANIFEST_HASH]
    return f"{hashed} {manifest.get('spec', {}).get('replicas')}"


def _is_verification(live: Json) -> bool:
    return (live["metadata"].get("labels") or {}).get(names.LABEL_COMPONENT) == "verify"
