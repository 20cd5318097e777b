"""The five conditions of the status, made from the rollout's state and what is seen. Pure.

What each condition says in each phase stands in one table, `OF_PHASE`, which the reference docs print and a
test holds against every phase; what is seen (pods, gateways, problems) then overrules it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from imageclassifier_operator.api import ServedVersion
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.types import Observed, Problem
from imageclassifier_operator.rollout import Goal, gateway_problems
from imageclassifier_operator.rollout.state import Phase, State

CONDITIONS = ("Available", "Ready", "Progressing", "PredictorReady", "GatewayReady")


@dataclass(frozen=True)
class Condition:
    type: str
    holds: bool
    reason: Reason
    message: str


@dataclass(frozen=True)
class PhaseRow:
    """What a phase means for the conditions, when pods and gateways are well.

    `available`, `ready`, `progressing`: the status of the condition. `reason`: that of Progressing, and of
    Ready while it is False. `unless_serving`: available only when something serves already.
    """

    available: bool
    ready: bool
    progressing: bool
    reason: Reason
    message: str


OF_PHASE: Mapping[Phase, PhaseRow] = {
    Phase.PENDING: PhaseRow(False, False, False, Reason.NO_VERSION_SERVES, "no version serves"),
    Phase.LOAD: PhaseRow(True, False, True, Reason.LOADING, "version {candidate} is loading"),
    Phase.VERIFY: PhaseRow(True, False, True, Reason.VERIFYING, "version {candidate} is being verified"),
    Phase.SHIFT: PhaseRow(
        True, False, True, Reason.SHIFTING, "version {candidate} takes {percent}% of the requests"
    ),
    Phase.SETTLE: PhaseRow(
        True, True, True, Reason.SETTLING, "version {serving} serves; version {previous} is kept warm"
    ),
    Phase.RETIRE: PhaseRow(
        True, True, True, Reason.RETIRING, "version {serving} serves; other versions are being removed"
    ),
    Phase.STABLE: PhaseRow(True, True, False, Reason.AT_REST, "version {serving} serves"),
}
"""Phase -> conditions. `available` holds only where something serves; `ready` only for the version asked
for.
"""


def conditions(
    goal: Goal | None, state: State, seen: Observed, blocked: Problem | None = None
) -> tuple[Condition, ...]:
    """The five conditions, in the order of `CONDITIONS`. `blocked`: what keeps the operator from acting.

    Without a goal, as the spec is invalid, a rollout under way stands still.
    """
    blocked = blocked or (goal.refused if goal is not None else None)
    predictor = _predictor(state, seen)
    gateway = _gateway(state, seen)
    available = _available(state, seen, predictor, blocked)
    progressing = _progressing(goal, state, seen, blocked)
    ready = _ready(goal, state, seen, blocked, (available, predictor, gateway), progressing)
    return available, ready, progressing, predictor, gateway


def _predictor(state: State, seen: Observed) -> Condition:
    """All model servers of the serving version (before the first serves: of the candidate) are up."""
    served = state.serving or state.candidate
    if served is None:
        return Condition("PredictorReady", False, Reason.NO_VERSION_SERVES, "there are no model servers")
    version = seen.versions.get(served.version)
    if version is not None and version.complete:
        return Condition(
            "PredictorReady", True, Reason.READY, f"all model servers of version {served.version} are up"
        )
    problem = seen.problem(served.version)
    if problem is not None:
        return Condition("PredictorReady", False, problem.reason, problem.message)
    if state.serving is None:
        return Condition("PredictorReady", False, Reason.LOADING, f"version {served.version} is loading")
    reason = Reason.UPDATING if seen.ready_pods(served.version) else Reason.NO_READY_PODS
    return Condition(
        "PredictorReady", False, reason, f"not all model servers of version {served.version} are up"
    )


def _gateway(state: State, seen: Observed) -> Condition:
    problem = _gateway_problem(state, seen)
    if problem is not None:
        return Condition("GatewayReady", False, problem.reason, problem.message)
    if seen.gateways_complete:
        return Condition("GatewayReady", True, Reason.READY, "all gateways are up")
    if state.serving is None:
        return Condition(
            "GatewayReady", False, Reason.NO_VERSION_SERVES, "the gateways wait for the first version"
        )
    reason = Reason.UPDATING if seen.ready_gateways else Reason.GATEWAY_STARTING
    return Condition("GatewayReady", False, reason, "not all gateways are up")


def _gateway_problem(state: State, seen: Observed) -> Problem | None:
    """What is wrong with a gateway: its pod, or by its own words its connection to the serving version."""
    problem = None if seen.gateways_complete else seen.gateway_problem
    if problem is not None and problem.reason is Reason.NOT_ANSWERING:
        # Without a version to answer with no gateway is ready.
        problem = None if state.serving is None else gateway_problems.unready(seen) or problem
    if problem is None and state.serving is not None:
        problem, _ = gateway_problems.unusable(seen, state.serving.version)
    return problem


def _available(state: State, seen: Observed, predictor: Condition, blocked: Problem | None) -> Condition:
    serving = state.serving
    if serving is None:
        reason, message = Reason.NO_VERSION_SERVES, "no version serves yet"
        if not predictor.holds and predictor.reason is not Reason.LOADING:
            reason, message = predictor.reason, predictor.message
        elif state.failed and state.candidate is None:
            reason, message = _last_failure(state)
        return Condition("Available", False, reason, message)
    if seen.ready_pods(serving.version) == 0:
        problem = seen.problem(serving.version)
        return Condition(
            "Available",
            False,
            Reason.NO_READY_PODS if problem is None else problem.reason,
            f"version {serving.version} has no ready model server" if problem is None else problem.message,
        )
    if not seen.ready_gateways:
        problem = _gateway_problem(state, seen)
        return Condition(
            "Available",
            False,
            Reason.GATEWAY_STARTING if problem is None else problem.reason,
            "no gateway is ready" if problem is None else problem.message,
        )
    if not seen.service_is_ours:
        problem = blocked or Problem(Reason.GATEWAY_STARTING, "the gateway's Service is not there")
        return Condition("Available", False, problem.reason, problem.message)
    problem, by_all = gateway_problems.unusable(seen, serving.version)
    if problem is not None and by_all:
        return Condition("Available", False, problem.reason, problem.message)
    return Condition("Available", True, Reason.AVAILABLE, f"version {serving.version} answers requests")


def _progressing(goal: Goal | None, state: State, seen: Observed, blocked: Problem | None) -> Condition:
    row = OF_PHASE[state.phase]
    if blocked is not None and (goal is None or not row.progressing):
        return Condition("Progressing", False, blocked.reason, blocked.message)
    failed = _failure_of(goal, state)
    if failed is not None and state.candidate is None:
        return Condition("Progressing", False, *failed)
    message = _words(row, state)
    if state.phase is Phase.STABLE and not seen.ready_gateways and seen.acknowledged_seconds is None:
        problem = gateway_problems.unready(seen)
        why = "no gateway has read it yet" if problem is None else problem.message
        return Condition("Progressing", True, Reason.AWAITING_GATEWAYS, f"{message}; {why}")
    problem = _hold_up(state, seen, blocked)
    if problem is not None:
        return Condition("Progressing", True, problem.reason, problem.message)
    reason = row.reason
    if state.candidate is not None and state.serving is not None:
        reason, message = _on_trial(state.candidate, state, seen, reason, message)
    return Condition("Progressing", row.progressing, reason, message)


def _hold_up(state: State, seen: Observed, blocked: Problem | None) -> Problem | None:
    """What keeps a candidate from going on before it gets any requests, but for the user."""
    candidate = state.candidate
    if candidate is None or state.phase not in (Phase.LOAD, Phase.VERIFY):
        return None
    problem, version = seen.problem_of(candidate), seen.versions.get(candidate.version)
    if state.phase is Phase.LOAD:
        return _earlier_pods(candidate, state, seen, blocked) or problem
    if not _has_passed(seen):
        return seen.unverified
    who = gateway_problems.unconnected(seen, candidate.version)
    if problem is not None:
        reason, what = problem.reason, f"its model servers: {problem.message}"
    elif version is None or not version.complete:
        reason, what = Reason.LOADING, "all of its model servers to be up"
    elif who is not None:
        reason, what = Reason.AWAITING_GATEWAYS, who
    elif state.serving is not None and seen.acknowledged_seconds is None:
        reason, what = (
            Reason.AWAITING_GATEWAYS,
            f"the gateways: {gateway_problems.unacknowledged(state, seen)}",
        )
    else:
        return None
    return Problem(reason, f"version {candidate.version} passed its verification and waits for {what}")


def _earlier_pods(
    candidate: ServedVersion, state: State, seen: Observed, blocked: Problem | None
) -> Problem | None:
    """That pods of the candidate's number which are made from something else are in its way."""
    version = seen.versions.get(candidate.version)
    if version is not None and version.complete and version.earlier_answer:
        return Problem(Reason.LOADING, f"version {candidate.version} waits for its earlier pods to end")
    if state.serving is None or candidate.version not in seen.versions or seen.is_made_from(candidate):
        return None
    if blocked is not None and seen.acknowledged_seconds is not None:
        return blocked
    what = f"version {candidate.version} waits until no gateway sends requests to its earlier pods"
    if seen.acknowledged_seconds is None:
        what += f": {gateway_problems.unacknowledged(state, seen)}"
    return Problem(Reason.AWAITING_GATEWAYS, what)


def _on_trial(
    candidate: ServedVersion, state: State, seen: Observed, reason: Reason, message: str
) -> tuple[Reason, str]:
    """What there is to say of a candidate beside the row of its phase: a shadow, a gateway, the pause."""
    if state.phase is Phase.VERIFY and _has_passed(seen):
        message = f"version {candidate.version} passed its verification"
    if state.shadow_percent:
        reason = Reason.SHADOWING
        message = f"version {candidate.version} answers copies of {state.shadow_percent}% of the requests"
    if state.phase is Phase.SHIFT:
        who = gateway_problems.unconnected(seen, candidate.version)
        message += "" if who is None else f"; it cannot be used by {who}"
    if state.stopped_since is not None and state.phase is not Phase.LOAD:
        reason = Reason.PAUSED
        message += "; the rollout is paused: annotate imageclassifier.dev/promote with a new value to go on"
    return reason, message


def _has_passed(seen: Observed) -> bool:
    return seen.verdict is not None and seen.verdict.conclusive and seen.verdict.passed


def _ready(
    goal: Goal | None,
    state: State,
    seen: Observed,
    blocked: Problem | None,
    parts: tuple[Condition, ...],
    progressing: Condition,
) -> Condition:
    """The version asked for serves, everything is up, and every ready gateway is seen to be on the newest
    routing.
    """
    if blocked is not None:
        return Condition("Ready", False, blocked.reason, blocked.message)
    row = OF_PHASE[state.phase]
    asked_for = (
        goal is not None and state.serving is not None and state.serving.version == goal.wanted.version
    )
    if not row.ready or not asked_for:
        return Condition("Ready", False, progressing.reason, progressing.message)
    for part in parts:
        if not part.holds:
            return Condition("Ready", False, part.reason, part.message)
    if seen.acknowledged_seconds is None:
        return Condition(
            "Ready",
            False,
            Reason.AWAITING_GATEWAYS,
            gateway_problems.unacknowledged(state, seen),
        )
    assert state.serving is not None
    return Condition("Ready", True, Reason.READY, f"version {state.serving.version} is fully rolled out")


def _failure_of(goal: Goal | None, state: State) -> tuple[Reason, str] | None:
    """Why the version that is asked for was taken back, as long as it is asked for."""
    if goal is None:
        return None
    for failed in state.failed:
        if failed.attempt == goal.attempt:
            return _told_failure(failed.version, failed.reason, failed.message)
    return None


def _last_failure(state: State) -> tuple[Reason, str]:
    last = state.failed[-1]
    return _told_failure(last.version, last.reason, last.message)


def _told_failure(version: int, reason: str, message: str) -> tuple[Reason, str]:
    return Reason.of(reason, Reason.VERIFICATION_FAILED), (
        f"version {version} failed: {message}; "
        "it is tried again when its spec or the annotation imageclassifier.dev/retry changes"
    )


def _words(row: PhaseRow, state: State) -> str:
    def number(served: Any) -> str:
        return "none" if served is None else str(served.version)

    return row.message.format(
        candidate=number(state.candidate),
        serving=number(state.serving),
        previous=number(state.previous),
        percent=state.percent,
    )
