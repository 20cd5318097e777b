"""States that earlier releases have stored, and the attempts in them."""

import copy
import json
from dataclasses import replace
from typing import Any

import pytest

from imageclassifier_operator.api import ImageClassifier
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.types import Problem
from imageclassifier_operator.rollout import goal_of, goal_while_invalid
from imageclassifier_operator.rollout.attempts import with_present_attempts
from imageclassifier_operator.rollout.recovery import recover
from imageclassifier_operator.rollout.state import FailedVersion, Phase, State
from rendered import classifier

SERVER = "tensorflow/serving:test"
VERSION = {
    "contract": None,
    "modelName": "pizza",
    "serverImage": SERVER,
    "serving": {
        "affinity": None,
        "batching": None,
        "image": None,
        "imagePullPolicy": None,
        "nodeSelector": {},
        "priorityClassName": None,
        "resources": {"limits": {"memory": "2Gi"}, "requests": {"cpu": "100m", "memory": "1Gi"}},
        "tolerations": [],
    },
    "source": {"image": "pizza-model:1", "imagePullPolicy": None, "imagePullSecrets": []},
    "version": 1,
}
NEXT = {**VERSION, "version": 2, "source": {**VERSION["source"], "image": "pizza-model:2"}}  # type: ignore[dict-item]
OF_48C8C3E: dict[str, Any] = {
    "attempt": "93b54df37f6a",
    "baseline": {
        "gateway-a": {"1": {"buckets": {"0.1": 800, "+Inf": 900}, "errors": 9, "requests": 900}},
        "gateway-b": {"1": {"buckets": {"0.1": 80, "+Inf": 100}, "errors": 1, "requests": 100}},
        "gateway-c": {"shadow": None},
    },
    "candidate": NEXT,
    "failed": [
        {"attempt": "fda9fa67071c", "message": "m", "reason": "TooSlow", "time": 10.5, "version": 2},
        {"attempt": "02c250386bda", "message": "m", "reason": "TooSlow", "time": 11.5, "version": 3},
    ],
    "fallback": None,
    "goneSince": 100.5,
    "pausedSince": 101.5,
    "percent": 20,
    "phase": "Shift",
    "previous": None,
    "promoted": "",
    "revision": 3,
    "schema": 1,
    "serving": VERSION,
    "shadowPercent": 0,
    "since": 99.5,
    "sticky": None,
}
"""As its `to_json` wrote it, with other numbers."""
SETTLING: dict[str, Any] = {
    **OF_48C8C3E,
    "phase": "Settle",
    "candidate": None,
    "previous": VERSION,
    "serving": NEXT,
}


def asking_for(version: int, **rollout: Any) -> ImageClassifier:
    model = {"version": version, "source": {"image": {"reference": "pizza-model:{version}"}}}
    return classifier({"model": model, "rollout": rollout})


def attempts(state: State) -> list[str]:
    return [each.attempt for each in state.failed]


def test_a_state_of_48c8c3e_is_read() -> None:
    state = State.from_json(OF_48C8C3E)
    assert (state.phase, state.percent, state.revision) == (Phase.SHIFT, 20, 3)
    assert (state.since, state.unavailable_since, state.clock_stopped_since) == (99.5, 100.5, 101.5)
    assert state.serving == asking_for(1).candidate(SERVER)
    assert state.candidate == asking_for(2).candidate(SERVER)
    assert state.earlier_attempts


@pytest.mark.parametrize("document", [OF_48C8C3E, SETTLING])
def test_a_state_that_was_read_survives_its_json(document: dict[str, Any]) -> None:
    state = State.from_json(document)
    assert State.from_json(json.loads(json.dumps(state.to_json()))) == state


def test_settle_compares_with_what_the_gateways_had_counted_of_the_previous_version() -> None:
    older = State.from_json(SETTLING).reference.older
    assert (older.requests, older.errors) == (1000, 10)
    assert older.slower_than(100).events == 120


def test_a_state_of_schema_1_with_the_present_names_has_attempts_of_this_release() -> None:
    document = copy.deepcopy(OF_48C8C3E)
    document["unavailableSince"] = document.pop("goneSince")
    document["clockStoppedSince"] = document.pop("pausedSince")
    state = State.from_json(document)
    assert (state.unavailable_since, state.earlier_attempts) == (100.5, False)


def test_a_state_of_a_later_schema_is_refused() -> None:
    with pytest.raises(ValueError, match="has schema 3; this operator reads schemas 1 and 2"):
        State.from_json({**State().to_json(), "schema": 3})


def test_the_candidate_and_its_rules_count_as_unchanged() -> None:
    state = State.from_json(OF_48C8C3E)
    goal = goal_of(asking_for(2), SERVER, state)
    after = with_present_attempts(goal, state)
    assert (after.attempt, after.earlier_attempts) == (goal.attempt, False)
    # An earlier attempt at version 2 had failed. This one goes on.
    assert attempts(after) == attempts(state)


def test_a_promoted_version_counts_as_unchanged() -> None:
    state = State.from_json(SETTLING)
    goal = goal_of(asking_for(2), SERVER, state)
    assert with_present_attempts(goal, state).attempt == goal.attempt


STABLE = State(
    phase=Phase.STABLE,
    serving=asking_for(1).candidate(SERVER),
    failed=tuple(
        FailedVersion(version, f"earlier {index}", "TooSlow", "m", 0.0)
        for index, version in enumerate((2, 3, 2))
    ),
    earlier_attempts=True,
)


def test_the_failed_version_that_the_spec_asks_for_is_not_retried() -> None:
    goal = goal_of(asking_for(2), SERVER, STABLE)
    after = with_present_attempts(goal, STABLE)
    assert attempts(after) == ["earlier 0", "earlier 1", goal.attempt]
    assert after.has_failed(goal.attempt)
    retried = goal_of(asking_for(2, retryToken="again"), SERVER, after)
    assert not with_present_attempts(retried, after).has_failed(retried.attempt)


def test_attempts_wait_for_a_spec_that_the_operator_can_act_on() -> None:
    goal = goal_of(asking_for(2), SERVER, STABLE)
    refused = replace(goal, refused=Problem(Reason.INVALID_SPEC, "m"))
    assert with_present_attempts(refused, STABLE) == STABLE
    shifting = State.from_json(OF_48C8C3E)
    invalid = goal_while_invalid(shifting, goal.rollout)
    assert invalid is not None
    assert with_present_attempts(invalid, shifting) == shifting


def test_a_failure_in_the_status_of_48c8c3e_is_known_after_the_crd_has_dropped_its_hash() -> None:
    failed = {"version": 1, "reason": "AcceptanceFailed", "message": "m", "time": "2026-11-29T09:17:39Z"}
    state = recover(None, None, {"failedVersions": [failed]}, [], 5.0)
    goal = goal_of(asking_for(1), SERVER, state)
    assert with_present_attempts(goal, state).has_failed(goal.attempt)
