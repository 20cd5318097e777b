"""The inputs of a Deployment, whose hashes an earlier release may have computed in another way."""

import dataclasses
import json
from typing import Any

from imageclassifier_operator import render
from imageclassifier_operator.api import ModelVersion, PodTemplate, VolumeSource, names
from imageclassifier_operator.observe.model_deployments import input_hash, model_version, present_pod_hash
from rendered import classifier

SPEC = {"model": {"version": 3, "source": {"image": {"reference": "pizza-model:{version}"}}}}
VERSION = classifier(SPEC).candidate("tensorflow/serving:test")


def deployed(version: ModelVersion = VERSION) -> dict[str, Any]:
    """A Deployment with hashes that this release does not compute."""
    deployment: dict[str, Any] = render.serving_children(classifier(SPEC), version, 1, pod_hash="earlier")[0]
    deployment["metadata"]["annotations"][names.ANNOTATION_INPUT_HASH] = "earlier"
    return deployment


def test_pods_keep_the_hash_that_they_have() -> None:
    assert present_pod_hash(deployed(), VERSION) == "earlier"


def test_pods_with_other_inputs_get_another_hash() -> None:
    serving = dataclasses.replace(VERSION.serving, template=PodTemplate(labels={"team": "food"}))
    assert present_pod_hash(deployed(), dataclasses.replace(VERSION, serving=serving)) is None


def test_pods_of_a_deployment_that_does_not_say_its_inputs_get_another_hash() -> None:
    deployment = deployed()
    del deployment["metadata"]["annotations"][names.ANNOTATION_SERVED_VERSION]
    assert present_pod_hash(deployment, VERSION) is None
    assert input_hash(deployment) == "earlier"


def test_the_inputs_of_a_deployment_are_compared_and_not_their_earlier_hash() -> None:
    assert input_hash(deployed()) == VERSION.input_hash


def test_the_nodes_that_an_earlier_release_stored_are_in_the_template() -> None:
    stored = VERSION.to_json()
    stored["serving"] |= {"nodeSelector": {"disk": "ssd"}, "tolerations": [], "affinity": None}
    annotations = {names.ANNOTATION_SERVED_VERSION: json.dumps(stored)}
    read = model_version({"metadata": {"annotations": annotations}})
    assert read is not None
    assert read.serving.template == PodTemplate(pod={"nodeSelector": {"disk": "ssd"}})


def test_the_pull_secrets_of_a_volume_are_those_of_the_model_server() -> None:
    version = dataclasses.replace(VERSION, source=VolumeSource("models", "pizza"))
    stored = version.to_json()
    del stored["serving"]["imagePullSecrets"]
    stored["source"]["imagePullSecrets"] = [{"name": "registry"}]
    annotations = {names.ANNOTATION_SERVED_VERSION: json.dumps(stored)}
    read = model_version({"metadata": {"annotations": annotations}})
    assert read is not None
    assert read.serving.image_pull_secrets == ("registry",)
