"""The actions that Argo CD offers for an ImageClassifier: when, and what they change."""

from dataclasses import replace
from typing import Any

import pytest

from bare_apiserver import ControlPlane
from crd_objects import API_VERSION, IMAGE, Apply, manifest
from imageclassifier_operator import api as spec_of
from imageclassifier_operator.rollout import Goal
from imageclassifier_operator.rollout.goal import goal_of
from imageclassifier_operator.rollout.state import FailedVersion, HistoryEntry, Phase, State
from imageclassifier_operator.status.document import status
from install_checkers import gitops
from status_examples import FACTS, GOAL, ONE, STATES, TWO, served, well

THREE = served(3)
PROMOTED = (HistoryEntry(2, "Promoted", 900.0), HistoryEntry(1, "Promoted", 100.0))
FAILED = FailedVersion(3, "b", "GoldenFailed", "Its golden pictures differ.", 950.0)
HISTORY = (HistoryEntry(3, "Failed", 950.0, "GoldenFailed"), *PROMOTED)
AT_REST = replace(STATES[Phase.STABLE], history=PROMOTED)
SHIFTING = replace(STATES[Phase.SHIFT], history=PROMOTED[1:])
PAUSED = replace(SHIFTING, clock_stopped_since=900.0)


def classifier(state: State, goal: Goal = GOAL, *, paused: bool | None = None) -> dict[str, Any]:
    """An ImageClassifier whose operator is in this state."""
    rollout = {} if paused is None else {"rollout": {"paused": paused}}
    body = manifest(model={**IMAGE, "version": goal.wanted.version}, **rollout)
    body["metadata"] |= {"namespace": "food", "uid": "u", "generation": FACTS.generation}
    return {**body, "status": status(FACTS, goal, state, well(1, 2, 3))}


SITUATIONS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "version 2 serves": (classifier(AT_REST), {"pause", "roll-back"}),
    "the first version serves": (
        classifier(State(phase=Phase.STABLE, serving=ONE, history=PROMOTED[1:]), Goal(ONE, "a")),
        {"pause"},
    ),
    "the first version loads": (
        classifier(State(phase=Phase.LOAD, candidate=ONE), Goal(ONE, "a")),
        {"pause"},
    ),
    "a candidate gets a share": (classifier(SHIFTING), {"promote", "pause", "roll-back"}),
    "the rollout is paused": (classifier(PAUSED, paused=True), {"promote", "resume", "roll-back"}),
    "version 3 has failed": (
        classifier(replace(AT_REST, failed=(FAILED,), history=HISTORY), Goal(THREE, "b")),
        {"retry", "pause", "roll-back"},
    ),
    "version 3 is retried": (
        classifier(
            replace(SHIFTING, serving=TWO, candidate=THREE, failed=(FAILED,), history=HISTORY),
            Goal(THREE, "c"),
        ),
        {"promote", "pause", "roll-back"},
    ),
    "the operator has not observed it": (
        {**classifier(AT_REST), "status": {"observedGeneration": -1}},
        {"pause"},
    ),
}


@pytest.fixture(scope="module")
def results() -> dict[str, dict[str, Any]]:
    """What Argo CD makes of each situation."""
    return dict(zip(SITUATIONS, gitops([body for body, _ in SITUATIONS.values()]), strict=True))


def changes(before: Any, after: Any) -> Any:
    """The merge patch from one object to another; Lua knows no difference between an empty list and {}."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return after
    assert before.keys() <= after.keys()
    return {
        key: changes(before.get(key), value)
        for key, value in after.items()
        if value != before.get(key) and (value or before.get(key))
        if changes(before.get(key), value) != {}
    }


def patch_of(results: dict[str, dict[str, Any]], situation: str, action: str) -> Any:
    return changes(SITUATIONS[situation][0], results[situation]["after"][action])


@pytest.mark.parametrize("situation", SITUATIONS)
def test_argo_cd_offers_the_actions_that_change_something(
    situation: str, results: dict[str, dict[str, Any]]
) -> None:
    discovered = results[situation]["discovered"]
    assert discovered.keys() == {"promote", "retry", "pause", "resume", "roll-back"}
    enabled = {name for name, action in discovered.items() if not action["disabled"]}
    assert enabled == SITUATIONS[situation][1]
    for name in enabled:
        assert patch_of(results, situation, name), name


@pytest.mark.parametrize("situation", SITUATIONS)
def test_a_roll_back_that_is_not_offered_changes_nothing(
    situation: str, results: dict[str, dict[str, Any]]
) -> None:
    if results[situation]["discovered"]["roll-back"]["disabled"]:
        assert patch_of(results, situation, "roll-back") == {}


def test_pause_and_resume_change_the_spec(results: dict[str, dict[str, Any]]) -> None:
    assert patch_of(results, "version 2 serves", "pause") == {"spec": {"rollout": {"paused": True}}}
    assert patch_of(results, "the rollout is paused", "resume") == {"spec": {"rollout": {"paused": False}}}


@pytest.mark.parametrize(
    ("situation", "version"),
    [
        ("version 2 serves", 1),
        ("a candidate gets a share", 1),
        ("version 3 has failed", 2),
        ("version 3 is retried", 2),
    ],
)
def test_a_roll_back_asks_for_the_serving_version_or_the_one_before_it(
    situation: str, version: int, results: dict[str, dict[str, Any]]
) -> None:
    assert patch_of(results, situation, "roll-back") == {"spec": {"model": {"version": version}}}


def test_promote_and_retry_are_what_the_operator_reads(results: dict[str, dict[str, Any]]) -> None:
    def goal(body: dict[str, Any]) -> Goal:
        return goal_of(spec_of.parse(body), "server", State(phase=Phase.STABLE, serving=TWO))

    paused, failed = "the rollout is paused", "version 3 has failed"
    promoted = goal(results[paused]["after"]["promote"])
    assert promoted.promote != goal(SITUATIONS[paused][0]).promote == ""
    assert goal(results[failed]["after"]["retry"]).attempt != goal(SITUATIONS[failed][0]).attempt


@pytest.mark.apiserver
def test_the_api_server_accepts_what_each_action_changes(
    api: ControlPlane, namespace: str, apply: Apply, set_status: Any
) -> None:
    path = f"/apis/{API_VERSION}/namespaces/{namespace}/imageclassifiers/pizza"
    for situation, action in (
        ("the rollout is paused", "promote"),
        ("version 3 has failed", "retry"),
        ("version 2 serves", "pause"),
        ("the rollout is paused", "resume"),
        ("version 2 serves", "roll-back"),
    ):
        body = SITUATIONS[situation][0]
        apply(**body["spec"])
        set_status(body["status"])
        stored = api.request("GET", path)
        patch = changes(stored, gitops([stored])[0]["after"][action])
        changed = api.request("PATCH", path, patch, "application/merge-patch+json")
        assert changed["metadata"]["annotations" if action in {"promote", "retry"} else "generation"]
        if action not in {"promote", "retry"}:
            assert changed["metadata"]["generation"] == stored["metadata"]["generation"] + 1
