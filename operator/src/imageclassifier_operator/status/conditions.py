"""The conditions: Available, Ready, PredictorReady and GatewayReady are computed here. Pure.

`phase_table` says what each phase means for the conditions; the snapshot (pods, gateways, problems) overrides
it. Progressing has a module of its own.
"""

from dataclasses import dataclass

from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.types import Problem, Snapshot
from imageclassifier_operator.rollout import Goal, gateway_problems
from imageclassifier_operator.rollout.state import Phase, State
from imageclassifier_operator.status.phase_table import CONDITIONS, PHASE_CONDITIONS, Condition
from imageclassifier_operator.status.progressing import progressing


@dataclass(frozen=True)
class _Parts:
    """The conditions on which Ready depends."""

    available: Condition
    progressing: Condition
    predictor: Condition
    gateway: Condition


def conditions(
    goal: Goal | None, state: State, snapshot: Snapshot, blocked: Problem | None = None
) -> tuple[Condition, ...]:
    """The five conditions, in the order of `CONDITIONS`. `blocked`: what prevents the operator from acting.

    `goal` is None while the spec is invalid. A rollout in progress then waits, and can only be rolled back.
    """
    blocked = blocked or (goal.refused if goal is not None else None)
    if state.phase is Phase.STOPPED:
        return _stopped(state, blocked)
    predictor = _predictor(state, snapshot)
    parts = _Parts(
        available=_available(state, snapshot, predictor, blocked),
        progressing=progressing(goal, state, snapshot, blocked),
        predictor=predictor,
        gateway=_gateway(state, snapshot),
    )
    ready = _ready(goal, state, snapshot, blocked, parts)
    return parts.available, ready, parts.progressing, parts.predictor, parts.gateway


def _stopped(state: State, blocked: Problem | None) -> tuple[Condition, ...]:
    """All conditions are False. Ready and Progressing name what would prevent a start."""
    row = PHASE_CONDITIONS[Phase.STOPPED]
    reason, message = row.reason, row.message
    if state.serving is not None:
        message += f" Version {state.serving.version} then serves again."
    stopped = {name: Condition(name, False, reason, message) for name in CONDITIONS}
    if blocked is not None:
        for name in ("Ready", "Progressing"):
            stopped[name] = Condition(name, False, blocked.reason, blocked.message)
    return tuple(stopped.values())


def _predictor(state: State, snapshot: Snapshot) -> Condition:
    """All model servers of the serving version (before the first one serves: of the candidate) are up."""

    def condition(holds: bool, reason: Reason, message: str) -> Condition:
        return Condition("PredictorReady", holds, reason, message)

    served = state.serving or state.candidate
    if served is None:
        return condition(False, Reason.NO_VERSION_SERVES, "There are no model servers.")
    number = served.version
    version = snapshot.versions.get(number)
    if version is not None and version.complete:
        return condition(True, Reason.READY, f"All model servers of version {number} are available.")
    problem = snapshot.problem(number)
    if problem is not None:
        return condition(False, problem.reason, problem.message)
    if state.serving is None:
        return condition(False, Reason.LOADING, f"Version {number} is loading.")
    reason = Reason.UPDATING if snapshot.ready_pods(number) else Reason.NO_READY_PODS
    return condition(False, reason, f"Not all model servers of version {number} are available.")


def _gateway(state: State, snapshot: Snapshot) -> Condition:
    def condition(holds: bool | None, reason: Reason, message: str) -> Condition:
        return Condition("GatewayReady", holds, reason, message)

    problem = _gateway_problem(state, snapshot)
    if problem is not None:
        return condition(False, problem.reason, problem.message)
    unobserved = gateway_problems.unobserved(snapshot)
    if snapshot.gateways_complete and unobserved is not None:
        return condition(None, unobserved.reason, unobserved.message)
    if snapshot.gateways_complete:
        return condition(True, Reason.READY, "All gateways are available.")
    if state.serving is None:
        return condition(False, Reason.NO_VERSION_SERVES, "The gateways wait for the first version.")
    reason = Reason.UPDATING if snapshot.ready_gateways else Reason.GATEWAY_STARTING
    return condition(False, reason, "Not all gateways are available.")


def _gateway_problem(state: State, snapshot: Snapshot) -> Problem | None:
    """The problem of a gateway: of its pod, its Secrets, or its connection to the serving version."""
    problem = None if snapshot.gateways_complete else snapshot.gateway_problem
    if problem is None or problem.reason is Reason.NOT_ANSWERING:
        problem = gateway_problems.unusable_secrets(snapshot) or problem
    if problem is not None and problem.reason is Reason.NOT_ANSWERING:
        # Without a serving version no gateway is ready, and that is no problem.
        problem = None if state.serving is None else gateway_problems.unready(snapshot) or problem
    if problem is None and state.serving is not None:
        problem, _ = gateway_problems.unusable(snapshot, state.serving.version)
    return problem


def _available(state: State, snapshot: Snapshot, predictor: Condition, blocked: Problem | None) -> Condition:
    """A version answers requests now."""
    problem = _unavailable(state, snapshot, predictor, blocked)
    if problem is not None:
        return Condition("Available", False, problem.reason, problem.message)
    unobserved = gateway_problems.unobserved(snapshot)
    if unobserved is not None and not _some_gateway_works(state, snapshot):
        return Condition("Available", None, unobserved.reason, unobserved.message)
    assert state.serving is not None
    message = f"Version {state.serving.version} answers requests."
    if snapshot.ready_pods(state.serving.version) == 0:
        message = f"Version {state.fallback} answers requests in place of version {state.serving.version}."
    return Condition("Available", True, Reason.AVAILABLE, message)


def _unavailable(
    state: State, snapshot: Snapshot, predictor: Condition, blocked: Problem | None
) -> Problem | None:
    """Why no version answers requests."""
    serving = state.serving
    if serving is None:
        if not predictor.holds and predictor.reason is not Reason.LOADING:
            return Problem(predictor.reason, predictor.message)
        return Problem(Reason.NO_VERSION_SERVES, "No version serves yet.")
    number = serving.version
    if snapshot.ready_pods(number) == 0 and state.fallback is None:
        message = f"Version {number} has no ready model server."
        return snapshot.problem(number) or Problem(Reason.NO_READY_PODS, message)
    if not snapshot.ready_gateways:
        message = "No gateway is ready."
        return _gateway_problem(state, snapshot) or Problem(Reason.GATEWAY_STARTING, message)
    if not snapshot.service_is_owned:
        message = "The Service of the gateways does not exist."
        return blocked or Problem(Reason.GATEWAY_STARTING, message)
    problem, concerns_all = gateway_problems.unusable(snapshot, number)
    others_may_answer = state.fallback is not None or gateway_problems.unobserved(snapshot) is not None
    return problem if concerns_all and not others_may_answer else None


def _some_gateway_works(state: State, snapshot: Snapshot) -> bool:
    """Whether a ready gateway answers probes, and reports no error that counts or can use the fallback."""
    return any(
        not gateway.silent
        and (gateway.serving is None or gateway.serving.ready or state.fallback is not None)
        for gateway in snapshot.ready_gateways
    )


def _ready(
    goal: Goal | None, state: State, snapshot: Snapshot, blocked: Problem | None, parts: _Parts
) -> Condition:
    """The wanted version serves, everything is available, and all gateways have the newest routing."""
    if blocked is not None:
        return Condition("Ready", False, blocked.reason, blocked.message)
    serving = state.serving
    is_wanted = goal is not None and serving is not None and serving.version == goal.wanted.version
    if not PHASE_CONDITIONS[state.phase].ready or not is_wanted:
        return Condition("Ready", False, parts.progressing.reason, parts.progressing.message)
    needed = (parts.available, parts.predictor, parts.gateway)
    for part in needed:
        if part.holds is False:
            return Condition("Ready", False, part.reason, part.message)
    late = set(snapshot.unacknowledged) - {gateway.pod for gateway in snapshot.gateways if gateway.silent}
    if snapshot.acknowledged_seconds is None and (late or not snapshot.unacknowledged):
        message = gateway_problems.unacknowledged(state, snapshot)
        return Condition("Ready", False, Reason.AWAITING_GATEWAYS, message)
    for part in needed:
        if part.holds is None:
            return Condition("Ready", None, part.reason, part.message)
    assert serving is not None
    return Condition("Ready", True, Reason.READY, f"Version {serving.version} is fully rolled out.")
