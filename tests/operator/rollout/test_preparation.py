"""A candidate whose files are not where a copy expects them gets pods that search them."""

import json
from dataclasses import replace
from typing import Any

import pytest

from broken_pods import crashed, pod
from imageclassifier_operator import api
from imageclassifier_operator.api.preparer import Preparer
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.objects import resolved_alias
from imageclassifier_operator.observe.pod_problems import diagnose
from imageclassifier_operator.observe.types import Problem, Snapshot, VersionSnapshot
from imageclassifier_operator.rollout import decide, goal_of
from imageclassifier_operator.rollout.state import Phase, State
from rendered import SPECS, classifier, serving_children
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


def by_alias(**changed: Any) -> api.ImageClassifier:
    source = {"storage": {"uri": "models:/pizza@best", "endpoint": "http://mlflow.ml.svc:5000"}}
    return classifier({"model": {"version": 3, "source": source}, **changed})


def seen(candidate: api.ModelVersion, alias_version: int | None) -> Snapshot:
    found = VersionSnapshot(candidate.input_hash, complete=False, ready_pods=0, alias_version=alias_version)
    return Snapshot(versions={3: found})


def test_an_alias_is_resolved_once_and_stays_at_its_number() -> None:
    candidate = by_alias().candidate("tf", "gateway:1")
    goal = goal_of(by_alias(), "tf", State(), "gateway:1")
    loading = State(phase=Phase.LOAD, candidate=candidate, attempt=goal.attempt, since=NOW)
    assert decide(goal, loading, seen(candidate, None), NOW).state.candidate == candidate
    resolved = decide(goal, loading, seen(candidate, 7), NOW).state
    assert resolved.candidate == replace(candidate, alias_version=7)
    assert resolved.candidate.pod_hash != candidate.pod_hash
    assert resolved.candidate.input_hash == candidate.input_hash
    again = goal_of(by_alias(), "tf", resolved, "gateway:1")
    assert again.wanted == resolved.candidate
    assert decide(again, resolved, seen(candidate, 8), NOW).state.candidate == resolved.candidate

    serving = State(phase=Phase.STABLE, serving=resolved.candidate)
    more_memory = {"serving": {"resources": {"limits": {"memory": "4Gi"}}}}
    wanted = goal_of(by_alias(**more_memory), "tf", serving, "gateway:1").wanted
    assert wanted.alias_version == 7
    assert api.ModelVersion.from_json(json.loads(json.dumps(wanted.to_json()))) == wanted


def test_the_number_of_an_alias_is_read_from_the_pod_that_resolved_it_and_is_no_problem() -> None:
    ended = crashed(message="version 7", code=6, name="model-files")
    deployment = serving_children(by_alias().candidate("tf", "gateway:1"))["Deployment"]
    resolving = {**pod(inits=[ended]), "spec": deployment["spec"]["template"]["spec"]}
    assert resolved_alias([resolving]) == 7
    assert diagnose([resolving]) is None
    for message, code, name in (
        ("version 7", 5, "model-files"),
        ("version seven", 6, "model-files"),
        ("version 7", 6, "mesh-init"),
    ):
        other = crashed(message=message, code=code, name=name)
        assert resolved_alias([pod(inits=[other])]) is None


def test_the_exit_code_of_a_resolved_alias_is_a_problem_of_each_other_container() -> None:
    deployment = serving_children(by_alias().candidate("tf", "gateway:1"))["Deployment"]
    crashing = pod(containers=[crashed(message="terminate called", code=6)])
    crashing["spec"] = deployment["spec"]["template"]["spec"]
    problem = diagnose([crashing])
    assert problem is not None
    assert "Container model-server of pod pizza-serving-v2-abc ended with exit code 6" in problem.message


def test_all_pods_download_the_number_that_the_alias_led_to() -> None:
    served = replace(by_alias().candidate("tf", "gateway:1"), alias_version=7)
    children = serving_children(served)
    [init] = children["Deployment"]["spec"]["template"]["spec"]["initContainers"]
    assert init["args"][:7] == [
        "storage", "--uri", "models:/pizza@best", "--endpoint", "http://mlflow.ml.svc:5000",
        "--alias-version", "7",
    ]  # fmt: skip
    assert "{'kubernetes.io/metadata.name': 'ml'}" in str(children["NetworkPolicy"]["spec"]["egress"])


@pytest.mark.parametrize(
    ("source", "origin"),
    [("smallest", "image pizza-model:3"), ("volume", "PersistentVolumeClaim models")],
)
def test_the_words_of_the_search_are_in_the_message_with_the_origin(source: str, origin: str) -> None:
    served = replace(classifier(SPECS[source]).candidate("tf"), searches=True, preparer=Preparer("gateway:1"))
    spec = serving_children(served)["Deployment"]["spec"]["template"]["spec"]
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
