"""The status document: conditions, columns and figures. Pure.

A status that says the same as the live one is not written.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from imageclassifier_operator.api import names
from imageclassifier_operator.api.status_limits import within_bounds
from imageclassifier_operator.observe.types import Observed, Problem
from imageclassifier_operator.rollout import Goal, analysis, routing
from imageclassifier_operator.rollout.state import State
from imageclassifier_operator.status.conditions import Condition, conditions

Json = Mapping[str, Any]

_OF_A_VALID_SPEC = ("url", "modelDigest", "shadow", "verification")
"""What is not to be told while the spec is invalid: it stays as it was."""


@dataclass(frozen=True)
class Facts:
    """What the status says beside the conditions: where to reach it, and what cannot be written."""

    name: str
    generation: int
    url: str = ""
    model_digest: str = ""
    blocked: Problem | None = None
    """An invalid spec, a conflict or a refusal by the API server: what keeps the operator from acting."""


def status(
    facts: Facts, goal: Goal | None, state: State, seen: Observed, live: Json, now: float
) -> dict[str, Any]:
    """The whole status, for server-side apply.

    A condition keeps its `lastTransitionTime` from `live`, the status as it is, while its status stays the
    same.
    """
    old = {condition["type"]: condition for condition in live.get("conditions") or ()}
    document: dict[str, Any] = {
        "observedGeneration": facts.generation,
        "phase": state.phase.value,
        "conditions": [
            _written(condition, facts.generation, old.get(condition.type), now)
            for condition in conditions(goal, state, seen, facts.blocked)
        ],
        "traffic": [
            {"version": version, "percent": percent}
            for version, percent in sorted(routing.shares(state).items())
            if percent or (state.candidate is not None and version == state.candidate.version)
        ],
    }
    if facts.url:
        document["url"] = facts.url
    if state.serving is not None:
        version = state.serving.version
        observed = seen.versions.get(version)
        document["servingVersion"] = version
        document["replicas"] = 0 if observed is None else observed.replicas
        document["selector"] = names.selector_string(names.selector(facts.name, "serving", version))
    if facts.model_digest:
        document["modelDigest"] = facts.model_digest
    if seen.verdict is not None and seen.verdict.conclusive and seen.verdict.details:
        document["verification"] = {"version": seen.verdict.version, **seen.verdict.details}
    if state.candidate is not None:
        document["candidateVersion"] = state.candidate.version
        document["candidatePercent"] = state.percent
        if state.shadow_percent:
            document["shadow"] = _shadow(state, seen)
    if state.failed:
        document["failedVersions"] = [
            {
                "version": failed.version,
                "inputHash": failed.attempt,
                "reason": failed.reason,
                "message": failed.message,
                "time": _time(failed.time),
            }
            for failed in state.failed
        ]
    if goal is None:
        document |= {field: live[field] for field in _OF_A_VALID_SPEC if field in live}
    return within_bounds(document)


def is_urgent(status: Json, live: Json) -> bool:
    """Whether a status has to be written at once: something holds no more, all is ready now, or the spec is
    newer.

    All else may wait a moment, so that what changes together is written together.
    """

    def held(document: Json) -> set[str]:
        return {c["type"] for c in document.get("conditions") or () if c["status"] == "True"}

    before, after = held(live), held(status)
    return (
        status["observedGeneration"] != live.get("observedGeneration")
        or not before <= after
        or "Ready" in after - before
    )


def _shadow(state: State, seen: Observed) -> dict[str, Any]:
    assert state.candidate is not None
    said = analysis.shadow_window(state.candidate.version, state.baseline, seen.reports)
    document: dict[str, Any] = {"compared": said.compared, "agreed": said.agreed}
    if said.confusion:
        document["confusion"] = [
            {"serving": serving, "candidate": candidate, "count": count}
            for serving, candidate, count in said.confusion
        ]
    return document


def _written(condition: Condition, generation: int, old: Json | None, now: float) -> dict[str, Any]:
    status = "True" if condition.holds else "False"
    same = old is not None and old.get("status") == status
    return {
        "type": condition.type,
        "status": status,
        "reason": condition.reason.value,
        "message": condition.message,
        "observedGeneration": generation,
        "lastTransitionTime": old["lastTransitionTime"] if same and old is not None else _time(now),
    }


def _time(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
