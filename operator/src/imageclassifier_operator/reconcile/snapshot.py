"""The snapshot of a reconciliation: the objects in the cache and the gateways' reports, as one value."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from imageclassifier_operator import metrics
from imageclassifier_operator.api import names
from imageclassifier_operator.api.json import Json
from imageclassifier_operator.api.kinds import DEPLOYMENTS, JOBS, SERVICES
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe import objects, verification_verdict
from imageclassifier_operator.observe.dataset_result import with_dataset
from imageclassifier_operator.observe.disruptions import disrupted_at
from imageclassifier_operator.observe.gateway_client import GatewayClient
from imageclassifier_operator.observe.gateway_health import Probe
from imageclassifier_operator.observe.pod_problems import can_answer, diagnose_job, is_ready
from imageclassifier_operator.observe.types import (
    GatewayReport,
    GatewaySnapshot,
    Problem,
    Snapshot,
    Verdict,
    VersionReport,
)
from imageclassifier_operator.reconcile.children import serving_children
from imageclassifier_operator.reconcile.memory import Memory, UnfinishedVerification
from imageclassifier_operator.reconcile.request import Request, ValidRequest
from imageclassifier_operator.rollout import Goal, needs_reports, unusable_candidate
from imageclassifier_operator.rollout.state import State
from imageclassifier_operator.runtime.cache import Cache


class Snapshotter:
    """Takes snapshots: reads the cache, polls the gateways when needed, and changes only the memory."""

    def __init__(self, cache: Cache, gateways: GatewayClient, clock: Callable[[], float]) -> None:
        self._cache, self._gateways, self._clock = cache, gateways, clock

    async def take(self, request: ValidRequest, goal: Goal, state: State) -> Snapshot:
        """The snapshot for a valid spec."""
        memory = request.memory
        ready, reports = await self._poll_gateways(request, state)
        wanted: dict[int, Json | None] = {
            version: serving_children(request, state, version)[0] for version in state.kept
        }
        gateway = self._cache.get(DEPLOYMENTS, request.key, names.gateway_name(request.ic.name))
        wanted_gateway = request.wanted_gateway if request.kept_gateway is None else None
        name = names.verify_name(request.ic.name, goal.wanted.version, goal.attempt)
        job = self._cache.get(JOBS, request.key, name)
        job_pods = [] if job is None else request.objects.pods_of(job)
        found = None if job is None else verification_verdict.verdict(job, job_pods)
        dataset, progress = request.ic.rollout.acceptance.dataset, None
        if dataset is not None and found is not None:
            found = with_dataset(found)
        elif dataset is not None:
            progress = await memory.progress.poll(self._gateways, job_pods, request.now)
        snapshot = Snapshot(
            versions=objects.versions(request.objects, wanted),
            gateways=_gateways(request, state, reports),
            observed_seconds=request.now - memory.started,
            gateways_complete=gateway is not None and objects.is_complete(gateway, wanted_gateway),
            gateway_problem=objects.gateway_problem(request.objects, gateway),
            acknowledged_seconds=memory.acknowledged_seconds(state.revision, ready, request.now),
            verdict=None if found is None else replace(found, version=goal.wanted.version),
            verification_progress=progress,
            verification_problem=self._verification_problem(request, name, job, found),
            verification_disrupted_at=disrupted_at(job_pods, deletions=False),
            blocked=memory.blocked,
        )
        snapshot = _with_patience(snapshot, request, state)
        unusable = unusable_candidate(state, snapshot)
        return replace(snapshot, unusable_seconds=memory.unusable_seconds(unusable, request.now))

    async def take_invalid(self, request: Request, state: State) -> Snapshot:
        """The snapshot for an invalid spec, of which nothing can be rendered: what exists is the goal."""
        ready, reports = await self._poll_gateways(request, state)
        gateway = self._cache.get(DEPLOYMENTS, request.key, names.gateway_name(request.key.name))
        snapshot = Snapshot(
            versions=objects.versions(request.objects, dict.fromkeys(request.objects.serving_deployments())),
            gateways=_gateways(request, state, reports),
            observed_seconds=request.now - request.memory.started,
            gateways_complete=gateway is not None and objects.is_complete(gateway, None),
            gateway_problem=objects.gateway_problem(request.objects, gateway),
            acknowledged_seconds=request.memory.acknowledged_seconds(state.revision, ready, request.now),
            service_is_owned=self._service_is_owned(request),
        )
        return _with_patience(snapshot, request, state)

    def refresh(self, snapshot: Snapshot, request: Request, revision: int) -> Snapshot:
        """Update what the writes have changed: the routing, now at `revision`, and the Service."""
        ready = [pod for pod in request.objects.gateway_pods() if is_ready(pod)]
        acknowledged = request.memory.acknowledged
        late = [p["metadata"]["name"] for p in ready if acknowledged.get(p["metadata"]["uid"]) != revision]
        return replace(
            snapshot,
            acknowledged_seconds=request.memory.acknowledged_seconds(revision, ready, request.now),
            unacknowledged=tuple(sorted(late)),
            service_is_owned=self._service_is_owned(request),
        )

    async def _poll_gateways(
        self, request: Request, state: State
    ) -> tuple[list[Json], Mapping[str, GatewayReport]]:
        """The ready gateway pods, and the reports of the gateways by the uid of their pod.

        There are no reports when the decision needs none.
        """
        pods, memory = request.objects.gateway_pods(), request.memory
        memory.forget_other_pods(pods)
        ready = [pod for pod in pods if is_ready(pod)]
        acknowledged = memory.acknowledged_seconds(state.revision, ready, request.now) is not None
        if state.serving is None:
            return ready, {}
        version = state.serving.version
        servers = [pod for pod in request.objects.serving_pods(version) if is_ready(pod)]
        answering = [pod for pod in pods if can_answer(pod)]
        memory.gateway_health.observe_pods([*answering, *servers], request.now)
        if not needs_reports(state, acknowledged):
            return ready, {}
        reports = await self._gateways.fetch_reports(pods)
        asked = frozenset(pod["metadata"]["uid"] for pod in ready)
        memory.record_probe(Probe(version, asked, reports, request.now))
        self._measure(memory, state.revision, ready)
        return ready, reports

    def _measure(self, memory: Memory, revision: int, ready: list[Json]) -> None:
        """Measure the time from a routing write to the last acknowledgement, once for each write."""
        written, now = memory.routing_written, self._clock()
        if written is None or written[0] != revision or memory.measured_revision == revision:
            return
        if memory.acknowledged_seconds(revision, ready, now) is not None:
            memory.measured_revision = revision
            metrics.ROUTING_SECONDS.observe(now - written[1])

    def _service_is_owned(self, request: Request) -> bool:
        service = self._cache.get(SERVICES, request.key, names.gateway_name(request.key.name))
        return service is not None and objects.is_controlled_by(service, request.memory.uid)

    def _verification_problem(
        self, request: ValidRequest, name: str, job: Json | None, found: Verdict | None
    ) -> Problem | None:
        """What keeps the verification Job `name` from a verdict.

        The reason why a Job ended without a verdict stays until there is a verdict. Otherwise the message
        would disappear each time the Job is created again.
        """
        memory, warnings = request.memory, request.objects.warnings
        unfinished = memory.unfinished_verification
        if unfinished is not None and unfinished.job != name:
            unfinished = None
        problem = None
        if found is not None and found.conclusive:
            unfinished = None
        elif found is not None:
            tries = 0 if unfinished is None else unfinished.tries
            uid = "" if job is None else job["metadata"]["uid"]
            seen = request.now if unfinished is None or unfinished.uid != uid else unfinished.seen
            unfinished = UnfinishedVerification(name, Problem(found.reason, found.message), uid, seen, tries)
        elif job is not None:
            problem = diagnose_job(job, request.objects.pods_of(job), warnings)
        memory.unfinished_verification = unfinished
        if problem is not None or unfinished is None:
            return problem
        return unfinished.problem


def _gateways(
    request: Request, state: State, reports: Mapping[str, GatewayReport]
) -> tuple[GatewaySnapshot, ...]:
    health = request.memory.gateway_health
    if state.serving is not None:
        request.memory.shown_findings = health.findings(state.serving.version, request.now)

    def serving(uid: str) -> VersionReport | None:
        return None if state.serving is None else health.report_on(uid, state.serving.version, request.now)

    return tuple(
        GatewaySnapshot(
            pod=pod["metadata"]["name"],
            ready=is_ready(pod),
            report=reports.get(pod["metadata"]["uid"]),
            serving=serving(pod["metadata"]["uid"]),
            silent=health.is_silent(pod["metadata"]["uid"], request.now),
            wants_key=names.ANNOTATION_ACCESS in (pod["metadata"].get("annotations") or {}),
            access=health.access.get(pod["metadata"]["uid"]),
        )
        for pod in request.objects.gateway_pods()
    )


def _with_patience(snapshot: Snapshot, request: Request, state: State) -> Snapshot:
    """The snapshot without the problems that are too new to be shown."""
    gateway = snapshot.gateway_problem
    if state.serving is None and gateway is not None and gateway.reason is Reason.NOT_ANSWERING:
        gateway = None  # without a routing file, no gateway can be ready
    problems = {"gateway": gateway, "verification": snapshot.verification_problem}
    problems |= {f"version {number}": found.problem for number, found in snapshot.versions.items()}
    shown, wait = request.memory.patience.outlasting(problems, request.now)
    request.memory.patience_ends = None if wait is None else request.now + wait
    return replace(
        snapshot,
        gateway_problem=shown["gateway"],
        verification_problem=shown["verification"],
        versions={
            number: replace(found, problem=shown[f"version {number}"])
            for number, found in snapshot.versions.items()
        },
    )
