"""`status.analysis`: the figures of the version under analysis beside the serving version's. Pure."""

from typing import Any

from imageclassifier_operator.api.rollout import CONTINUE
from imageclassifier_operator.observe.types import Snapshot
from imageclassifier_operator.rollout import PROMOTE_ANNOTATION, Goal, current_analysis
from imageclassifier_operator.rollout.figures import Window
from imageclassifier_operator.rollout.likelihoods import Counts
from imageclassifier_operator.rollout.sequential import upper_bound
from imageclassifier_operator.rollout.state import Phase, State
from imageclassifier_operator.rollout.traffic_comparison import Comparison, Outcome, percent


def analysis_document(goal: Goal, state: State, snapshot: Snapshot) -> dict[str, Any] | None:
    """None while no version is under analysis."""
    comparison = current_analysis.comparison(goal, state, snapshot)
    found = current_analysis.of(goal, state, snapshot)
    if found is None:
        return None
    advice = _advice(goal, state) if found.outcome is Outcome.INCONCLUSIVE else ""
    document: dict[str, Any] = {"outcome": found.outcome.value, "message": f"{found.message}{advice}"}
    return document | ({} if comparison is None else {"versions": _versions(comparison)})


def _versions(analysis: Comparison) -> list[dict[str, Any]]:
    reference = analysis.reference
    return [
        _version(analysis.version, analysis.figures, analysis.figures.failures),
        _version(analysis.serving_version, reference.recent + reference.older, reference.failures),
    ]


def _version(version: int, window: Window, failures: Counts) -> dict[str, Any]:
    document: dict[str, Any] = {
        "version": version,
        "requests": window.requests,
        "errors": window.errors,
        "errorRateUpperBound": percent(upper_bound(failures)),
    }
    if (p99 := window.p99_milliseconds) is not None:
        document["p99Milliseconds"] = round(p99)
    return document


def _advice(goal: Goal, state: State) -> str:
    """What happens next while the analysis is inconclusive, and what the user can do."""
    if state.phase is Phase.SETTLE:
        return " If it proves worse before spec.rollout.keepPreviousSeconds have passed, it is rolled back."
    if state.clock_stopped_since is not None:
        return ""  # the condition Progressing says why the rollout stands still
    if goal.rollout.on_inconclusive == CONTINUE:
        return " spec.rollout.onInconclusive is Continue, so the rollout continues nevertheless."
    return (
        " The rollout waits. To continue now, give spec.rollout.promoteToken or the annotation "
        f"{PROMOTE_ANNOTATION} a new value, or set spec.rollout.onInconclusive to Continue."
    )
