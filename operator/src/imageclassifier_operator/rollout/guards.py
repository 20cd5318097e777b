"""When a transition may happen. A guard is a pure question; one that takes a version back answers with the
reason.
"""

from dataclasses import replace

from imageclassifier_operator.api import ServedVersion
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.types import Observed, Problem
from imageclassifier_operator.rollout import analysis, gateway_problems
from imageclassifier_operator.rollout.context import Scene
from imageclassifier_operator.rollout.state import Phase


def something_serves(scene: Scene) -> bool:
    return scene.state.serving is not None


# -- what is wanted -------------------------------------------------------------------------------------


def another_is_wanted(scene: Scene) -> bool:
    """A version other than the serving one is wanted, and it has not failed as it is."""
    state, wanted = scene.state, scene.goal.wanted
    if state.serving is not None and state.serving.version == wanted.version:
        return False
    return not state.has_failed(scene.goal.attempt)


def another_may_begin(scene: Scene) -> bool:
    """Not while pods of a failed version are being removed that is to be tried again as it was: they would
    fail it at once.
    """
    wanted, state = scene.goal.wanted, scene.state
    left_over = wanted.version not in state.kept and scene.seen.is_made_from(wanted)
    failed = any(each.version == wanted.version for each in state.failed)
    return another_is_wanted(scene) and not (left_over and failed and state.phase is Phase.RETIRE)


def candidate_is_replaced(scene: Scene) -> bool:
    candidate = scene.state.candidate
    return (
        candidate is not None
        and candidate.input_hash != scene.goal.wanted.input_hash
        and another_is_wanted(scene)
    )


def candidate_is_unwanted(scene: Scene) -> bool:
    """The serving version is wanted again, or what is wanted has failed already, by these rules."""
    candidate = scene.state.candidate
    return candidate is not None and (
        candidate.input_hash != scene.goal.wanted.input_hash or scene.state.has_failed(scene.goal.attempt)
    )


def rules_changed(scene: Scene) -> bool:
    """The version on trial stays, but it is judged by other rules, or asked to be tried anew."""
    state = scene.state
    on_trial = state.candidate or state.on_trial
    return (
        on_trial is not None
        and on_trial.input_hash == scene.goal.wanted.input_hash
        and state.attempt != scene.goal.attempt
    )


def settings_changed_in_place(scene: Scene) -> bool:
    """The serving version keeps its files but is to run with other settings: its Deployment is rolled, not
    the model.
    """
    serving, wanted = scene.state.serving, scene.goal.wanted
    return (
        serving is not None
        and serving.version == wanted.version
        and serving.input_hash != wanted.input_hash
        and serving.source_hash == wanted.source_hash
    )


def previous_is_wanted_and_warm(scene: Scene) -> bool:
    """Every gateway is connected to it already: it stands in the routing file with 0 percent."""
    previous = scene.state.previous
    if previous is None or previous.input_hash != scene.goal.wanted.input_hash:
        return False
    return is_warm(scene.seen, previous)


def is_warm(seen: Observed, served: ServedVersion) -> bool:
    """It has ready pods with these inputs."""
    return seen.is_made_from(served) and seen.ready_pods(served.version) > 0


def place_is_taken(seen: Observed, candidate: ServedVersion) -> bool:
    """Pods of its number with other inputs are there: they stay until no gateway sends them requests."""
    return candidate.version in seen.versions and not seen.is_made_from(candidate)


# -- loading --------------------------------------------------------------------------------------------


def candidate_is_loaded(scene: Scene) -> bool:
    """And whoever verifies it cannot be answered by its earlier pods."""
    candidate = scene.state.candidate
    if candidate is None or not is_loaded(scene, candidate):
        return False
    return not scene.seen.versions[candidate.version].earlier_answer


def is_loaded(scene: Scene, served: ServedVersion) -> bool:
    seen = scene.seen.versions.get(served.version)
    return seen is not None and seen.complete and is_warm(scene.seen, served)


def candidate_cannot_load(scene: Scene) -> Problem | None:
    """What waiting will not mend, or the deadline; only where something else serves meanwhile."""
    candidate = scene.state.candidate
    if candidate is None or scene.state.serving is None:
        return None
    problem = scene.seen.problem_of(candidate)
    if problem is not None and problem.fatal:
        return problem
    what = f"version {candidate.version} was not up"
    return _overdue(scene, what, problem or Problem(Reason.PROGRESS_DEADLINE_EXCEEDED, ""))


def _overdue(scene: Scene, what: str, cause: Problem) -> Problem | None:
    """That the phase has lasted too long, and why; not while the user, or what keeps us from writing, holds
    it up.
    """
    deadline = scene.goal.rollout.progress_deadline_seconds
    if scene.is_held_up or scene.seconds_in_phase < deadline:
        return None
    said = f": {cause.message}" if cause.message else ""
    return Problem(cause.reason, f"{what} within {deadline} s{said}")


# -- verifying ------------------------------------------------------------------------------------------


def candidate_passed(scene: Scene) -> bool:
    verdict = scene.seen.verdict
    return verdict is not None and verdict.conclusive and verdict.passed


def candidate_was_refused(scene: Scene) -> Problem | None:
    verdict = scene.seen.verdict
    if verdict is not None and verdict.conclusive and not verdict.passed:
        return Problem(verdict.reason, verdict.message)
    if candidate_passed(scene):
        return None
    cause = scene.seen.unverified or Problem(Reason.VERIFICATION_FAILED, "")
    return _overdue(scene, "the verification gave no verdict", cause)


def candidate_broke_before_traffic(scene: Scene) -> Problem | None:
    """Its pods broke, or it passed and then could not be given requests for too long."""
    candidate = scene.state.candidate
    if candidate is None:
        return None
    problem = scene.seen.problem_of(candidate)
    if problem is not None and problem.fatal:
        return problem
    if not candidate_passed(scene) or is_reached(scene, candidate):
        return None
    what = f"version {candidate.version} passed its verification, but could not be given requests"
    return _overdue(scene, what, problem or _unreached(scene, candidate))


def _unreached(scene: Scene, candidate: ServedVersion) -> Problem:
    """Which gateway keeps the candidate from its share, as far as it can be told."""
    seen, revision = scene.seen, scene.state.revision
    late = [g.pod for g in seen.ready_gateways if g.report is None or g.report.revision != revision]
    if late:
        words = gateway_problems.unacknowledged(scene.state, replace(seen, unacknowledged=tuple(late)))
    else:
        words = gateway_problems.unconnected(seen, candidate.version) or ""
    return Problem(Reason.PROGRESS_DEADLINE_EXCEEDED, words)


# -- shifting -------------------------------------------------------------------------------------------


def is_usable(seen: Observed, served: ServedVersion) -> bool:
    """It has ready pods with these inputs, and every ready gateway is connected to it and has acknowledged
    so.
    """
    gateways = seen.ready_gateways
    if not is_warm(seen, served) or seen.acknowledged_seconds is None or not gateways:
        return False
    return all(
        gateway.report is not None
        and served.version in gateway.report.versions
        and gateway.report.versions[served.version].ready
        for gateway in gateways
    )


def may_go_on(scene: Scene) -> bool:
    """Not paused, or promoted by hand since."""
    return not scene.goal.rollout.pause or scene.goal.promote not in ("", scene.state.promoted)


def is_passed_and_listening(scene: Scene) -> bool:
    candidate = scene.state.candidate
    return (
        candidate is not None
        and candidate_passed(scene)
        and is_reached(scene, candidate)
        and may_go_on(scene)
    )


def is_reached(scene: Scene, served: ServedVersion) -> bool:
    """All of its pods are up, and all gateways are connected to them."""
    return is_loaded(scene, served) and is_usable(scene.seen, served)


def shadow_comes_first(scene: Scene) -> bool:
    return is_passed_and_listening(scene) and scene.goal.rollout.shadow is not None


def first_step_is_due(scene: Scene) -> bool:
    return is_passed_and_listening(scene) and bool(scene.goal.steps)


def candidate_fails_under_traffic(scene: Scene) -> Problem | None:
    """Its pods are gone or broken, or its figures are bad: whatever is seen first."""
    candidate, serving = scene.state.candidate, scene.state.serving
    if candidate is None or serving is None:
        return None
    problem = scene.seen.problem_of(candidate)
    if problem is not None and problem.fatal:
        return problem
    if (lost := _gone_for_good(scene) or _unreached_for_good(scene, candidate)) is not None:
        return lost
    rollout, since, reports = scene.goal.rollout, scene.state.baseline, scene.seen.reports
    if scene.state.shadow_percent:
        return _disagreement(scene, candidate)
    return analysis.complaint(
        candidate.version,
        analysis.window(candidate.version, since, reports),
        analysis.window(serving.version, since, reports),
        rollout.limits,
        rollout.min_requests,
    )


GONE_SECONDS = 10.0
"""How long a version on trial may be without a ready pod: a missed probe of its only pod is no failure of
the model. Another version answers its requests meanwhile.
"""


def _gone_for_good(scene: Scene) -> Problem | None:
    served, since = scene.state.on_trial, scene.state.gone_since
    if served is None or since is None or scene.now - since < GONE_SECONDS:
        return None
    return scene.seen.problem_of(served) or Problem(
        Reason.CANDIDATE_UNAVAILABLE,
        f"version {served.version} has had no ready pod for {GONE_SECONDS:.0f} s while it has traffic",
    )


def _unreached_for_good(scene: Scene, candidate: ServedVersion) -> Problem | None:
    deadline = scene.goal.rollout.progress_deadline_seconds
    if scene.is_held_up or scene.seen.unusable_seconds < deadline:
        return None
    cause = _unreached(scene, candidate)
    said = f": {cause.message}" if cause.message else ""
    return Problem(
        cause.reason, f"version {candidate.version} could not be used by every gateway for {deadline} s{said}"
    )


def _disagreement(scene: Scene, candidate: ServedVersion) -> Problem | None:
    shadow = scene.goal.rollout.shadow
    if shadow is None or shadow.min_agreement is None:
        return None
    seen = analysis.shadow_window(candidate.version, scene.state.baseline, scene.seen.reports)
    if seen.compared < max(1, shadow.min_compared) or seen.agreed >= shadow.min_agreement * seen.compared:
        return None
    most = f"; most often {seen.confusion[0][0]} became {seen.confusion[0][1]}" if seen.confusion else ""
    return Problem(
        Reason.DISAGREES,
        f"version {candidate.version} agreed with the serving version on {seen.agreed} of {seen.compared} "
        "requests; "
        f"spec.rollout.shadow.minAgreement asks for {shadow.min_agreement:g}{most}",
    )


def step_is_over(scene: Scene) -> bool:
    """The share was held long enough, by enough requests, with all gateways on it, and nothing speaks
    against more.
    """
    candidate, state = scene.state.candidate, scene.state
    if candidate is None or not may_go_on(scene) or not is_usable(scene.seen, candidate):
        return False
    if state.shadow_percent:
        shadow = scene.goal.rollout.shadow
        compared = analysis.shadow_window(candidate.version, state.baseline, scene.seen.reports).compared
        return shadow is None or compared >= shadow.min_compared
    step = scene.goal.step(state.percent)
    if step is None:
        return True  # the spec has no steps any more
    requests = analysis.window(candidate.version, state.baseline, scene.seen.reports).requests
    # While paused the clock stands still: whoever promotes by hand has decided that it was long enough.
    long_enough = scene.goal.rollout.pause or scene.seconds_in_phase >= step.duration_seconds
    return long_enough and requests >= scene.goal.rollout.min_requests


def next_step_is_due(scene: Scene) -> bool:
    return step_is_over(scene) and scene.goal.next_percent(scene.state.percent) < 100


def last_step_is_over(scene: Scene) -> bool:
    return step_is_over(scene) and scene.goal.next_percent(scene.state.percent) == 100


# -- settling and retiring ------------------------------------------------------------------------------


def new_version_fails(scene: Scene) -> Problem | None:
    """The version that took over is bad, and the one before still stands ready."""
    serving, previous = scene.state.serving, scene.state.previous
    if serving is None or previous is None or not is_warm(scene.seen, previous):
        return None
    if scene.state.on_trial is None:
        return None  # gone back to by hand: judging it would make the traffic swing to and fro
    problem = scene.seen.problem_of(serving)
    if problem is not None and problem.fatal:
        return problem
    if (gone := _gone_for_good(scene)) is not None:
        return gone
    judged = analysis.window(serving.version, scene.state.baseline, scene.seen.reports)
    return analysis.complaint(
        serving.version, judged, None, scene.goal.rollout.limits, scene.goal.rollout.min_requests
    )


def previous_was_kept_long_enough(scene: Scene) -> bool:
    return (
        scene.seconds_in_phase >= scene.goal.rollout.keep_previous_seconds
        and scene.seen.acknowledged_seconds is not None
        and scene.state.gone_since is None
    )


def nothing_is_left_over(scene: Scene) -> bool:
    return set(scene.seen.versions) <= set(scene.state.kept)
