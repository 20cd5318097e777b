"""Checks of a version's pods that several guards share: ready, usable by the gateways, overdue."""

from dataclasses import replace

from imageclassifier_operator.api import ModelVersion
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.types import Problem, Snapshot
from imageclassifier_operator.rollout import gateway_problems
from imageclassifier_operator.rollout.context import RolloutContext

UNAVAILABLE_SECONDS = 10.0
"""How long all pods of a version under analysis may fail their readiness probes. One missed probe of the only
pod does not mean that the model failed. Another version answers the requests meanwhile.
"""
_OF_THE_CLUSTER = (Reason.POD_EVICTED, Reason.NODE_LOST, Reason.UNSCHEDULABLE)
"""Reasons why pods that were lost with their nodes are not replaced yet. The version does not cause them."""


def is_warm(snapshot: Snapshot, version: ModelVersion) -> bool:
    """The version has ready pods that were made from exactly these inputs."""
    return snapshot.is_deployed(version) and snapshot.ready_pods(version.version) > 0


def is_loaded(context: RolloutContext, version: ModelVersion) -> bool:
    """All pods of the version are available."""
    found = context.snapshot.versions.get(version.version)
    return found is not None and found.complete and is_warm(context.snapshot, version)


def is_usable(snapshot: Snapshot, version: ModelVersion) -> bool:
    """The version has ready pods, and every ready gateway has acknowledged the routing and is connected."""
    gateways = snapshot.ready_gateways
    if not is_warm(snapshot, version) or snapshot.acknowledged_seconds is None or not gateways:
        return False
    return all(
        gateway.report is not None
        and version.version in gateway.report.versions
        and gateway.report.versions[version.version].ready
        for gateway in gateways
    )


def is_loaded_and_usable(context: RolloutContext, version: ModelVersion) -> bool:
    """All pods are available, and all gateways can use the version."""
    return is_loaded(context, version) and is_usable(context.snapshot, version)


def number_is_in_use(snapshot: Snapshot, candidate: ModelVersion) -> bool:
    """Pods of the candidate's number with other inputs exist. They stay until the gateways are drained."""
    return candidate.version in snapshot.versions and not snapshot.is_deployed(candidate)


def fatal_problem(context: RolloutContext, version: ModelVersion) -> Problem | None:
    """A problem of the version's pods that waiting does not solve."""
    problem = context.snapshot.problem_of(version)
    return problem if problem is not None and problem.fatal else None


def overdue(
    context: RolloutContext, what: str, cause: Problem, deadline_seconds: int | None = None
) -> Problem | None:
    """The phase has exceeded `progressDeadlineSeconds`, or the given deadline, because of `cause`.

    The deadline does not count while the user pauses the rollout or a write is blocked. When the version
    loses pods with their nodes, the deadline starts again. It does not count while the cluster has no place
    for new pods.
    """
    candidate = context.state.candidate
    deadline = deadline_seconds or context.goal.rollout.progress_deadline_seconds
    if context.is_held_up or context.seconds_undisturbed < deadline:
        return None
    if candidate is not None and _waits_for_nodes(context, context.snapshot.problem_of(candidate)):
        return None
    return Problem(cause.reason, _because(f"{what} within {deadline} s", cause))


def unreachable(context: RolloutContext, candidate: ModelVersion) -> Problem:
    """Why the gateways cannot send traffic to the candidate, as their reports show."""
    snapshot, revision = context.snapshot, context.state.revision
    others = [g.pod for g in snapshot.ready_gateways if g.report is None or g.report.revision != revision]
    if others:
        waiting = replace(snapshot, unacknowledged=tuple(others))
        message = gateway_problems.unacknowledged(context.state, waiting)
    else:
        message = gateway_problems.unconnected(snapshot, candidate.version) or ""
    return Problem(Reason.PROGRESS_DEADLINE_EXCEEDED, message)


def unreachable_too_long(context: RolloutContext, candidate: ModelVersion) -> Problem | None:
    """A ready gateway could not use the candidate for `progressDeadlineSeconds`."""
    deadline = context.goal.rollout.progress_deadline_seconds
    if context.is_held_up or context.snapshot.unusable_seconds < deadline:
        return None
    cause = unreachable(context, candidate)
    what = f"A gateway could not use version {candidate.version} for {deadline} s"
    return Problem(cause.reason, _because(what, cause))


def unavailable_too_long(context: RolloutContext) -> Problem | None:
    """The version under analysis has had no ready pod for too long, and lost nodes are not the cause.

    Pods that run and fail their probes have ten seconds. Pods that are replaced or restarted have
    `progressDeadlineSeconds`: the fallback answers meanwhile.
    """
    version, since = context.state.under_analysis, context.state.unavailable_since
    if version is None or since is None:
        return None
    found, problem = context.snapshot.versions.get(version.version), context.snapshot.problem_of(version)
    deadline = float(context.goal.rollout.progress_deadline_seconds)
    if found is not None and found.unresponsive:
        deadline = min(deadline, UNAVAILABLE_SECONDS)
    elif _waits_for_nodes(context, problem):
        return None
    seconds = context.now - max(since, context.state.disrupted_at or since)
    if min(seconds, context.snapshot.observed_seconds) < deadline:
        return None
    return problem or Problem(
        Reason.CANDIDATE_UNAVAILABLE,
        f"Version {version.version} had no ready pod for {deadline:.0f} s while it had traffic.",
    )


def _waits_for_nodes(context: RolloutContext, problem: Problem | None) -> bool:
    """The version lost pods with their nodes, and the cluster has no place for new ones yet."""
    disrupted = context.state.disrupted_at is not None or context.state.under_analysis is not None
    return disrupted and problem is not None and problem.reason in _OF_THE_CLUSTER


def _because(what: str, cause: Problem) -> str:
    return f"{what}: {cause.message}" if cause.message else f"{what}."
