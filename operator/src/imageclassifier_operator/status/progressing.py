"""The condition Progressing: what a rollout does now, what it waits for, and why one failed. Pure."""

from imageclassifier_operator.api import ModelVersion
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.types import Problem, Snapshot
from imageclassifier_operator.rollout import (
    PROMOTE_ANNOTATION,
    RETRY_ANNOTATION,
    Goal,
    current_analysis,
    gateway_problems,
)
from imageclassifier_operator.rollout.state import FailedVersion, Phase, State
from imageclassifier_operator.rollout.traffic_comparison import Outcome
from imageclassifier_operator.status.phase_table import PHASE_CONDITIONS, Condition


def progressing(goal: Goal | None, state: State, snapshot: Snapshot, blocked: Problem | None) -> Condition:
    """The condition Progressing."""
    row = PHASE_CONDITIONS[state.phase]
    if blocked is not None and (goal is None or not row.progressing):
        return Condition("Progressing", False, blocked.reason, blocked.message)
    failed = failure_of(goal, state)
    if failed is not None and state.candidate is None:
        return Condition("Progressing", False, failed.reason, failed.message)
    reason, message = row.reason, row.filled_in(state)
    if state.phase is Phase.STABLE and not snapshot.ready_gateways and snapshot.acknowledged_seconds is None:
        problem = gateway_problems.unready(snapshot)
        why = "No gateway has read the routing yet." if problem is None else problem.message
        return Condition("Progressing", True, Reason.AWAITING_GATEWAYS, f"{message} {why}")
    problem = _waiting(state, snapshot, blocked)
    if problem is not None:
        return Condition("Progressing", True, problem.reason, problem.message)
    progress = snapshot.verification_progress
    if state.phase is Phase.VERIFY and progress is not None:
        message += f" {progress.done:,} of {progress.total:,} pictures of the data set are done."
    if state.candidate is not None and state.serving is not None:
        reason, message = _candidate_details(state.candidate, state, snapshot, (reason, message))
        if goal is not None and _is_inconclusive(goal, state, snapshot):
            message += " The analysis is inconclusive so far: see status.analysis."
    return Condition("Progressing", row.progressing, reason, message)


def _failure(failed: FailedVersion) -> Problem:
    """A failed version, as a problem with what to do."""
    return Problem(
        Reason.of(failed.reason, Reason.VERIFICATION_FAILED),
        f"Version {failed.version} failed: {failed.message} "
        "To retry, change the spec, or give spec.rollout.retryToken or the annotation "
        f"{RETRY_ANNOTATION} a new value.",
    )


def failure_of(goal: Goal | None, state: State) -> Problem | None:
    """Why the wanted version failed, as long as it is wanted."""
    if goal is None:
        return None
    found = next((failed for failed in state.failed if failed.attempt == goal.attempt), None)
    return None if found is None else _failure(found)


def _waiting(state: State, snapshot: Snapshot, blocked: Problem | None) -> Problem | None:
    """What a candidate without traffic waits for, if it waits for anything but the user."""
    candidate = state.candidate
    if candidate is None or state.phase not in (Phase.LOAD, Phase.VERIFY):
        return None
    problem, version = snapshot.problem_of(candidate), snapshot.versions.get(candidate.version)
    if state.phase is Phase.LOAD:
        return _outdated_pods(candidate, state, snapshot, blocked) or problem
    if not _has_passed(snapshot):
        return snapshot.verification_problem
    passed = f"Version {candidate.version} passed verification and waits for"
    unconnected = gateway_problems.unconnected(snapshot, candidate.version)
    if problem is not None:
        return Problem(problem.reason, f"{passed} its model servers: {problem.message}")
    if version is None or not version.complete:
        return Problem(Reason.LOADING, f"{passed} all of its model servers to become available.")
    if unconnected is not None:
        return Problem(Reason.AWAITING_GATEWAYS, f"{passed} the gateways: {unconnected}")
    if state.serving is not None and snapshot.acknowledged_seconds is None:
        message = gateway_problems.unacknowledged(state, snapshot)
        return Problem(Reason.AWAITING_GATEWAYS, f"{passed} the gateways: {message}")
    return None


def _outdated_pods(
    candidate: ModelVersion, state: State, snapshot: Snapshot, blocked: Problem | None
) -> Problem | None:
    """The candidate waits until the pods that its number had with other inputs are gone."""
    version = snapshot.versions.get(candidate.version)
    if version is not None and version.complete and version.outdated_pods_serve:
        message = f"Version {candidate.version} waits until its outdated pods have terminated."
        return Problem(Reason.LOADING, message)
    if state.serving is None or version is None or snapshot.is_deployed(candidate):
        return None
    if blocked is not None and snapshot.acknowledged_seconds is not None:
        return blocked
    message = f"Version {candidate.version} waits until no gateway sends requests to its outdated pods"
    if snapshot.acknowledged_seconds is None:
        return Problem(
            Reason.AWAITING_GATEWAYS, f"{message}: {gateway_problems.unacknowledged(state, snapshot)}"
        )
    return Problem(Reason.AWAITING_GATEWAYS, f"{message}.")


def _candidate_details(
    candidate: ModelVersion, state: State, snapshot: Snapshot, row: tuple[Reason, str]
) -> tuple[Reason, str]:
    """Reason and message of the phase's row, with what the row does not say: shadow, gateways, pause."""
    reason, message = row
    if state.phase is Phase.VERIFY and _has_passed(snapshot):
        message = f"Version {candidate.version} passed verification."
    if state.shadow_percent:
        reason = Reason.SHADOWING
        message = f"Version {candidate.version} gets copies of {state.shadow_percent} % of the requests."
    if state.phase is Phase.SHIFT:
        unconnected = gateway_problems.unconnected(snapshot, candidate.version)
        message += "" if unconnected is None else f" {unconnected}"
    if state.unavailable_since is not None:
        problem = snapshot.problem_of(candidate)
        why = "" if problem is None else f" {problem.message}"
        return reason, f"{message} It has no ready pod, so the serving version answers its share.{why}"
    if state.clock_stopped_since is not None and state.phase is not Phase.LOAD:
        reason = Reason.PAUSED
        message += (
            " The rollout is paused. To continue, give spec.rollout.promoteToken or the annotation "
            f"{PROMOTE_ANNOTATION} a new value."
        )
    return reason, message


def _is_inconclusive(goal: Goal, state: State, snapshot: Snapshot) -> bool:
    found = current_analysis.of(goal, state, snapshot)
    return found is not None and found.outcome is Outcome.INCONCLUSIVE


def _has_passed(snapshot: Snapshot) -> bool:
    return snapshot.verdict is not None and snapshot.verdict.conclusive and snapshot.verdict.passed
