"""A version whose classes are in its own directory: its pods, its stored form and its preparer."""

import json
from dataclasses import replace
from typing import Any

import pytest

from broken_pods import crashed, pod, waiting
from imageclassifier_operator import api, render
from imageclassifier_operator.observe.pod_problems import diagnose
from imageclassifier_operator.observe.types import Snapshot
from imageclassifier_operator.rollout import goal_of
from imageclassifier_operator.rollout.decision import decide
from imageclassifier_operator.rollout.state import Phase, State

SPEC: dict[str, Any] = {
    "model": {"version": 3, "source": {"image": {"reference": "m:1", "pullSecrets": [{"name": "models"}]}}},
    "classesFrom": {"modelFile": {}},
}


def classifier(**changed: Any) -> api.ImageClassifier:
    metadata = {"name": "pizza", "namespace": "food", "uid": "u-1", "generation": 1}
    return api.parse({"metadata": metadata, "spec": {**SPEC, **changed}})


def candidate(default_gateway_image: str = "gateway:1", **changed: Any) -> api.ModelVersion:
    return classifier(**changed).candidate("tf", default_gateway_image)


def template(**changed: Any) -> dict[str, Any]:
    ic = classifier(**changed)
    return render.serving_children(ic, ic.candidate("tf", "gateway:1"), 1)[0]["spec"]["template"]


def test_the_gateways_image_reads_the_class_file_after_the_model_was_copied() -> None:
    gateway = {"image": "own:2", "imagePullPolicy": "Never", "imagePullSecrets": [{"name": "gateways"}]}
    spec = template(gateway=gateway)["spec"]
    files, classes = spec["initContainers"]
    assert (files["image"], classes["image"], classes["imagePullPolicy"]) == ("m:1", "own:2", "Never")
    assert spec["imagePullSecrets"] == [{"name": "models"}, {"name": "gateways"}]


def test_a_stored_version_keeps_its_preparer_and_one_of_an_earlier_release_has_none() -> None:
    stored = json.loads(json.dumps(candidate(gateway={"imagePullSecrets": [{"name": "a"}]}).to_json()))
    assert api.ModelVersion.from_json(stored).to_json() == stored
    del stored["preparer"]
    assert api.ModelVersion.from_json(stored).preparer is None


def test_the_path_of_the_class_file_is_an_input_of_the_version_and_the_gateways_image_is_not() -> None:
    other_file = candidate(classesFrom={"modelFile": {"path": "names.txt"}})
    assert other_file.source_hash != candidate().source_hash
    assert other_file.pod_hash != candidate().pod_hash
    assert candidate("gateway:2").input_hash == candidate().input_hash


def test_another_gateway_image_restarts_no_model_server_that_serves() -> None:
    state = State(phase=Phase.STABLE, serving=candidate())
    for changed in ({}, {"gateway": {"image": "own:2"}}):
        assert goal_of(classifier(**changed), "tf", state, "gateway:2").wanted == state.serving


@pytest.mark.parametrize(
    ("gateway", "image"),
    [({}, "gateway:1"), ({"image": "own:2"}, "own:2"), ({"imagePullSecrets": [{"name": "a"}]}, "gateway:1")],
)
def test_a_candidate_that_loads_follows_the_corrected_gateway_but_no_operator_upgrade(
    gateway: dict[str, Any], image: str
) -> None:
    state = State(phase=Phase.LOAD, candidate=candidate())
    ic = classifier(gateway=gateway)
    goal = goal_of(ic, "tf", state, "gateway:2")
    state = replace(state, attempt=goal.attempt)
    after = decide(goal, state, Snapshot(), 0.0).state.candidate
    assert after is not None
    assert after.preparer is not None
    assert after.preparer.reference == image
    assert after.preparer.pull_secrets == ic.gateway.image_pull_secrets
    assert (after == state.candidate) is (gateway == {})


def test_a_refused_class_file_fails_the_version_with_the_words_of_the_program() -> None:
    said = "The model has no class file. Its directory contains saved_model.pb. Add one."
    problem = diagnose([pod(inits=[crashed(message=f"noise\n{said}\n", code=3, name="model-classes")])])
    assert problem is not None
    assert (problem.reason, problem.fatal) == ("ContractInvalid", True)
    assert problem.message == f"Container model-classes of pod pizza-serving-v2-abc: {said}"


def test_a_crash_of_the_program_is_not_called_a_problem_of_the_model() -> None:
    problem = diagnose([pod(inits=[crashed(message="MemoryError", code=1, name="model-classes")])])
    assert problem is not None
    assert problem.reason == "ContainerCrashed"


def test_a_gateway_image_that_a_model_server_cannot_pull_names_the_gateways_secrets() -> None:
    broken = {**pod(inits=[waiting("ErrImagePull", name="model-classes")]), "spec": template()["spec"]}
    problem = diagnose([broken])
    assert problem is not None
    assert "cannot pull image gateway:1" in problem.message
    assert problem.message.endswith(" or spec.gateway.imagePullSecrets.")
