"""A candidate whose files are not where a copy expects them gets pods that search them."""

import json
from dataclasses import replace
from typing import Any

import pytest

from broken_pods import crashed, pod
from imageclassifier_operator import api
from imageclassifier_operator.api.preparer import Preparer
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.pod_problems import diagnose
from imageclassifier_operator.observe.types import Problem, Snapshot, VersionSnapshot
from imageclassifier_operator.rollout import decide, goal_of
from imageclassifier_operator.rollout.state import Phase, State
from rendered import SPECS, classifier
from single_decisions import NOW, names

MISSING = Problem(Reason.MODEL_NOT_FOUND, "No such file")
FATAL = replace(MISSING, fatal=True)


def ic(**changed: Any) -> api.ImageClassifier:
    return classifier({**SPECS["smallest"], **changed})


CANDIDATE = ic().candidate("tf")
SERVING = replace(CANDIDATE, version=2)
LOADING = State(phase=Phase.LOAD, serving=SERVING, candidate=CANDIDATE, since=NOW)


def after(state: State, problem: Problem | None, **changed: Any) -> tuple[State, list[str]]:
    goal = goal_of(ic(**changed), "tf", state, "gateway:1")
    seen = {3: VersionSnapshot(CANDIDATE.input_hash, complete=False, ready_pods=0, problem=problem)}
    decision = decide(goal, replace(state, attempt=goal.attempt), Snapshot(versions=seen), NOW)
    return decision.state, names(decision)


def test_missing_files_are_searched_once_and_then_the_version_fails() -> None:
    searching, taken = after(LOADING, MISSING)
    assert taken == []
    assert searching.candidate == replace(CANDIDATE, searches=True, preparer=Preparer("gateway:1"))
    assert searching.candidate.pod_hash != CANDIDATE.pod_hash
    assert searching.candidate.input_hash == CANDIDATE.input_hash
    # Until its pods are replaced, the earlier problem is still observed.
    assert after(searching, MISSING) == (searching, [])
    failed, taken = after(searching, FATAL)
    assert failed.candidate is None
    assert [each.reason for each in failed.failed] == ["ModelNotFound"]


@pytest.mark.parametrize("problem", [None, FATAL, Problem(Reason.IMAGE_PULL_FAILED, "no image")])
def test_other_problems_start_no_search(problem: Problem | None) -> None:
    state, _ = after(LOADING, problem)
    assert state.candidate is None or not state.candidate.searches


def test_a_version_that_has_traffic_is_not_searched() -> None:
    state, _ = after(replace(LOADING, phase=Phase.SHIFT, percent=10), MISSING)
    assert state.candidate is None or not state.candidate.searches


def test_a_version_that_was_found_by_a_search_is_searched_again_when_its_settings_change() -> None:
    found = replace(CANDIDATE, searches=True, preparer=Preparer("gateway:1"))
    state = State(phase=Phase.STABLE, serving=found)
    more_memory = {"serving": {"resources": {"limits": {"memory": "4Gi"}}}}
    wanted = goal_of(ic(**more_memory), "tf", state, "gateway:2").wanted
    assert (wanted.searches, wanted.preparer) == (True, Preparer("gateway:1"))
    assert api.ModelVersion.from_json(json.loads(json.dumps(wanted.to_json()))) == wanted


@pytest.mark.parametrize(
    ("source", "origin"),
    [("smallest", "image pizza-model:3"), ("volume", "PersistentVolumeClaim models")],
)
def test_the_words_of_the_search_are_in_the_message_with_the_origin(source: str, origin: str) -> None:
    from imageclassifier_operator import render

    owner = classifier(SPECS[source])
    served = replace(owner.candidate("tf"), searches=True, preparer=Preparer("gateway:1"))
    spec = render.serving_children(owner, served, 1)[0]["spec"]["template"]["spec"]
    said = "There is no directory a/b/3. a/b contains flowers.keras. Export it."
    search = crashed(message=said, code=3, name="model-search")
    problem = diagnose([{**pod(inits=[search]), "spec": spec}])
    assert problem == Problem(
        Reason.MODEL_NOT_FOUND,
        f"Container model-search of pod pizza-serving-v2-abc: {origin}: {said}",
        fatal=True,
    )


@pytest.mark.parametrize(
    ("log", "fatal"),
    [
        ("cp: cannot stat '/models/pizza/3': No such file or directory", False),
        ("cp: can't stat '/models/pizza/3': No such file or directory", False),
        ("cp: cannot open '/models/pizza/3/saved_model.pb' for reading: Permission denied", True),
        ('exec: "cp": executable file not found in $PATH', True),
    ],
)
def test_only_files_that_may_lie_elsewhere_are_searched(log: str, fatal: bool) -> None:
    problem = diagnose([pod(inits=[crashed(message=log, name="model-files")])])
    assert problem is not None
    assert (problem.reason, problem.fatal) == (Reason.MODEL_NOT_FOUND, fatal)
