"""The status document: conditions, printer columns and figures. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from imageclassifier_operator.api import Access, names
from imageclassifier_operator.api.json import Json
from imageclassifier_operator.api.status_limits import within_limits
from imageclassifier_operator.observe.dataset_result import progress_result
from imageclassifier_operator.observe.types import Problem, Snapshot
from imageclassifier_operator.rollout import Goal, figures, routing
from imageclassifier_operator.rollout.state import HistoryEntry, Phase, State
from imageclassifier_operator.status.analysis import analysis_document
from imageclassifier_operator.status.conditions import conditions
from imageclassifier_operator.status.kstatus import NotReady, kstatus_conditions
from imageclassifier_operator.status.phase_table import Condition

_OF_A_VALID_SPEC = ("url", "modelDigest", "shadow", "analysis", "verification")
"""These fields need a valid spec. While it is invalid they stay as they are."""


@dataclass(frozen=True)
class Facts:
    """What the status needs beside goal, state and snapshot. `live`: the status as it is; `now`: the time."""

    name: str
    generation: int
    live: Json = field(default_factory=dict)
    now: float = 0.0
    url: str = ""
    way_in_problem: str = ""
    """Why users cannot reach the gateway from outside, and what to do."""
    model_digest: str = ""
    blocked: Problem | None = None
    """What prevents the operator from acting: an invalid spec, a name conflict, a refusal of the API server.
    """


def status(facts: Facts, goal: Goal | None, state: State, snapshot: Snapshot) -> dict[str, Any]:
    """The whole status, for server-side apply.

    A condition keeps the `lastTransitionTime` of the live one while its status stays the same.
    """
    old = {condition["type"]: condition for condition in facts.live.get("conditions") or ()}
    document: dict[str, Any] = {
        "observedGeneration": facts.generation,
        "phase": state.phase.value,
        "conditions": [
            _condition(condition, facts, old.get(condition.type))
            for condition in all_conditions(facts, goal, state, snapshot)
        ],
        "traffic": [
            {"version": version, "percent": percent}
            for version, percent in sorted(_shares(state).items())
            if percent or (state.candidate is not None and version == state.candidate.version)
        ],
    }
    if snapshot.gateways:
        is_open = any(gateway.is_open for gateway in snapshot.gateways)
        document["access"] = (Access.OPEN if is_open else Access.API_KEY).value
    if facts.url:
        document["url"] = facts.url
    if facts.model_digest:
        document["modelDigest"] = facts.model_digest
    if goal is not None and (verification := _verification(facts, goal, state, snapshot)) is not None:
        document["verification"] = verification
    document |= _serving(facts.name, state, snapshot) | _candidate(state, snapshot)
    if state.failed:
        document["failedVersions"] = [
            {
                "version": failed.version,
                "attempt": failed.attempt,
                "reason": failed.reason,
                "message": failed.message,
                "time": _time(failed.time),
            }
            for failed in state.failed
        ]
    if state.history:
        document["history"] = [_history_entry(entry) for entry in state.history]
    if goal is not None and (found := analysis_document(goal, state, snapshot)) is not None:
        document["analysis"] = found
    if goal is None:
        document |= {name: facts.live[name] for name in _OF_A_VALID_SPEC if name in facts.live}
    return within_limits(document)


def _verification(facts: Facts, goal: Goal, state: State, snapshot: Snapshot) -> Json | None:
    """The figures of the wanted version's verification, also when the pod with its verdict is gone."""
    verdict = snapshot.verdict
    if verdict is not None and verdict.conclusive:
        return {"version": verdict.version, **verdict.details} if verdict.details else None
    progress = snapshot.verification_progress
    if progress is not None and state.phase is Phase.VERIFY:
        return {"version": goal.wanted.version, "dataset": progress_result(progress)}
    before: Json = facts.live.get("verification") or {}
    awaits_another = state.candidate is not None and state.phase in (Phase.LOAD, Phase.VERIFY)
    return before if before.get("version") == goal.wanted.version and not awaits_another else None


def all_conditions(
    facts: Facts, goal: Goal | None, state: State, snapshot: Snapshot
) -> tuple[Condition, ...]:
    """The conditions that are always present, and what kstatus needs while Ready is False."""
    always = conditions(goal, state, snapshot, facts.blocked)
    [ready] = (condition for condition in always if condition.type == "Ready")
    why = NotReady(ready, facts.blocked, facts.now)
    if ready.holds and facts.way_in_problem:
        hinted = replace(ready, message=f"{ready.message} {facts.way_in_problem}")
        always = tuple(hinted if condition is ready else condition for condition in always)
    return (*always, *kstatus_conditions(goal, state, snapshot, why))


def _shares(state: State) -> Mapping[int, int]:
    """The share of each version; a classifier that is stopped has no traffic."""
    return {} if state.phase is Phase.STOPPED else routing.shares(state)


def _serving(name: str, state: State, snapshot: Snapshot) -> dict[str, Any]:
    """The serving version, and the pods by which autoscalers scale: those of the version with most traffic.

    All versions have the same number of pods, so that one has the most load.
    """
    if state.serving is None:
        return {}
    serving, shares = state.serving.version, routing.shares(state)
    version = max(shares, key=lambda each: (shares[each], each == serving))
    found = snapshot.versions.get(version)
    alias = state.serving.alias_version
    return {
        **({} if alias is None else {"registeredVersion": alias}),
        "servingVersion": serving,
        "replicas": 0 if found is None else found.replicas,
        "readyReplicas": 0 if found is None else found.ready_pods,
        "selector": names.selector_string(names.selector(name, "serving", version)),
    }


def _history_entry(entry: HistoryEntry) -> dict[str, Any]:
    document: dict[str, Any] = {
        "version": entry.version,
        "verdict": entry.verdict,
        "time": _time(entry.time),
    }
    known = {"reason": entry.reason, "modelDigest": entry.model_digest}
    return document | {name: value for name, value in known.items() if value}


def _candidate(state: State, snapshot: Snapshot) -> dict[str, Any]:
    if state.candidate is None:
        return {}
    document: dict[str, Any] = {
        "candidateVersion": state.candidate.version,
        "candidatePercent": state.percent,
    }
    if state.shadow_percent:
        document["shadow"] = _shadow(state.candidate.version, state, snapshot)
    return document


def is_urgent(status: Json, live: Json) -> bool:
    """Whether to write a status at once: a condition became False, Ready became True, or the spec is newer.

    Any other change may wait a moment, so that changes that belong together are written together.
    """

    def true_conditions(document: Json) -> set[str]:
        return {c["type"] for c in document.get("conditions") or () if c["status"] == "True"}

    before, after = true_conditions(live), true_conditions(status)
    return (
        status["observedGeneration"] != live.get("observedGeneration")
        or not before <= after
        or "Ready" in after - before
    )


def _shadow(candidate: int, state: State, snapshot: Snapshot) -> dict[str, Any]:
    window = figures.shadow_window(candidate, state.baseline, snapshot.reports)
    document: dict[str, Any] = {"compared": window.compared, "agreed": window.agreed}
    if window.confusion:
        document["confusion"] = [
            {"serving": serving_class, "candidate": candidate_class, "count": count}
            for serving_class, candidate_class, count in window.confusion
        ]
    return document


def _condition(condition: Condition, facts: Facts, old: Json | None) -> dict[str, Any]:
    status = "Unknown" if condition.holds is None else str(condition.holds)
    same = old is not None and old.get("status") == status
    return {
        "type": condition.type,
        "status": status,
        "reason": condition.reason.value,
        "message": condition.message,
        "observedGeneration": facts.generation,
        "lastTransitionTime": old["lastTransitionTime"] if same and old is not None else _time(facts.now),
    }


def _time(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
