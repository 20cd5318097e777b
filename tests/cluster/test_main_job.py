"""The main job: one object brings a pizza model up, its answers are the model's own, one field changes its
version.

One ImageClassifier with the real pizza models goes through the file. Two small ones are deleted at its
beginning and looked for at its end, as pods of model servers take their time to go.
"""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cluster_testbed import (
    Classifier,
    Kubectl,
    Wait,
    ensure_tiny_models,
    example,
    labelled_files,
    tiny_classifier,
)
from imageclassifier_gateway.contract import Decision, parse_contract
from imageclassifier_gateway.pixels.images import prepare
from laptop import models
from laptop.traffic import predict

pytestmark = pytest.mark.cluster

PHOTOGRAPHS_OF_EACH, DRAWN_OF_EACH = 100, 20
TOLERANCE = 1e-3
BATCH = 20
OURS = (
    "deployments,replicasets,pods,services,endpointslices,configmaps,jobs,poddisruptionbudgets,networkpolicies,"
    "horizontalpodautoscalers,ingresses"
)
SYSTEM = ("--namespace", "imageclassifier-system")


@dataclass
class Leaving:
    """A classifier, and a namespace with another one, while both are deleted."""

    classifier: Classifier
    belongings: list[str]
    """The objects of the classifier, as kind/name."""
    namespace: str


def children(kubectl: Kubectl, name: str) -> list[str]:
    """Everything in the namespace that belongs to the classifier `name`, as kind/name."""
    return kubectl("get", OURS, f"--selector=app.kubernetes.io/instance={name}", "--output=name").split()


@pytest.fixture(scope="module")
def everything(
    installed: object, module_kubectl: Kubectl, cluster_kubectl: Kubectl, wait_for: Wait
) -> tuple[Classifier, Leaving]:
    """Version 1 of examples/pizza.yaml, serving, and what is on its way out."""
    other = module_kubectl.within(f"{module_kubectl.namespace}-leaving")
    cluster_kubectl("create", "namespace", str(other.namespace))
    module_kubectl.apply(*example("pizza"))
    ensure_tiny_models({"main-job:1": "good"})
    for kubectl in (module_kubectl, other):
        kubectl.apply(
            tiny_classifier(
                "leaving",
                {"name": "main-job", "version": 1, "source": {"image": {"reference": "main-job:1"}}},
            )
        )
    pizza = Classifier(module_kubectl, wait_for, "pizza")
    leaving = Classifier(module_kubectl, wait_for, "leaving")
    for classifier in (pizza, leaving, Classifier(other, wait_for, "leaving")):
        classifier.wait_ready(1)
    belongings = children(module_kubectl, "leaving")
    module_kubectl("delete", "imageclassifier", "leaving")
    cluster_kubectl("delete", "namespace", str(other.namespace), "--wait=false")
    return pizza, Leaving(leaving, belongings, str(other.namespace))


@pytest.fixture(scope="module")
def pizza(everything: tuple[Classifier, Leaving]) -> Classifier:
    return everything[0]


@pytest.fixture(scope="module")
def leaving(everything: tuple[Classifier, Leaving]) -> Leaving:
    return everything[1]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Equally many pictures of each class: photographs if the data set exists, otherwise drawn pictures."""
    of_each = labelled_files(PHOTOGRAPHS_OF_EACH, DRAWN_OF_EACH, tmp_path_factory.mktemp("drawn"))
    return [path.read_bytes() for files in of_each.values() for path in files]


def called_directly(version: int, pictures: Sequence[bytes]) -> list[Decision]:
    """The prediction of the exported SavedModel, called in this process on the same preprocessed picture."""
    import tensorflow as tf

    model = tf.saved_model.load(str(models.ensure() / models.MODEL / str(version)))
    said = model.signatures["contract"](ignored=tf.constant([0], tf.int32))["json"]
    contract = parse_contract(said.numpy()[0])
    predict_pixels = model.signatures["serving_default"]
    rows: list[Any] = []
    for start in range(0, len(pictures), BATCH):
        pixels = np.stack([prepare(one, contract.input) for one in pictures[start : start + BATCH]])
        rows += list(predict_pixels(pixels=tf.constant(pixels))["probabilities"].numpy())
    return [contract.decide(row) for row in rows]


def assert_answers_are_the_models_own(pizza: Classifier, version: int, pictures: Sequence[bytes]) -> None:
    with pizza.gateway() as port, ThreadPoolExecutor(2) as senders:
        answers = list(senders.map(lambda picture: predict(port, picture), pictures))
    direct = called_directly(version, pictures)
    assert {answer["model"]["version"] for answer in answers} == {version}
    assert [answer["label"] for answer in answers] == [decision.label for decision in direct]
    assert {answer["prediction"] for answer in answers} == {"It's a pizza!", "Not a pizza."}
    for answer, decision in zip(answers, direct, strict=True):
        assert answer["probabilities"] == pytest.approx(decision.probabilities, abs=TOLERANCE)


def test_every_picture_gets_the_answer_of_the_exported_model(
    pizza: Classifier, photographs: list[bytes]
) -> None:
    assert_answers_are_the_models_own(pizza, 1, photographs)


def ask_for(pizza: Classifier, version: int) -> None:
    patch = json.dumps({"spec": {"model": {"version": version}}})
    pizza.kubectl("patch", "imageclassifier", "pizza", "--type=merge", f"--patch={patch}")


def test_one_patched_field_moves_all_requests_to_version_2_and_back_without_losing_one(
    pizza: Classifier, pictures: dict[str, Path], photographs: list[bytes]
) -> None:
    with pizza.requests(pictures["pizza"].read_bytes()) as tally:
        ask_for(pizza, 2)
        pizza.wait_ready(2)
    assert tally.failures == []
    assert set(tally.by_version) == {1, 2}
    assert_answers_are_the_models_own(pizza, 2, photographs[::10])
    with pizza.requests(pictures["pizza"].read_bytes()) as tally:
        ask_for(pizza, 1)
        pizza.wait_ready(1)
    assert tally.failures == []
    assert set(tally.by_version) == {1, 2}


def test_kubectl_get_shows_the_serving_version_and_its_health_in_one_line(pizza: Classifier) -> None:
    pizza.wait_ready(1)
    header, row = pizza.kubectl("get", "ic", "pizza").splitlines()
    told = dict(zip(header.split(), row.split(), strict=True))
    assert told.pop("AGE")
    assert told == {
        "NAME": "pizza",
        "VERSION": "1",
        "SERVING": "1",
        "READY": "True",
        "REASON": "Ready",
        "REPLICAS": "1",
        "URL": f"http://pizza-gateway.{pizza.kubectl.namespace}.svc/",
    }


def test_a_deleted_or_edited_child_is_restored_while_requests_succeed(
    pizza: Classifier, pictures: dict[str, Path], wait_for: Wait
) -> None:
    kubectl = pizza.kubectl

    def uid(what: str) -> str | None:
        return kubectl("get", what, "--ignore-not-found", "--output=jsonpath={.metadata.uid}") or None

    deleted = ("service/pizza-gateway", "configmap/pizza-routing", "networkpolicy/pizza-serving")
    image = "--output=jsonpath={.spec.template.spec.containers[0].image}"
    with pizza.requests(pictures["pizza"].read_bytes()) as tally:
        before = {what: uid(what) for what in deleted}
        wanted = kubectl("get", "deployment/pizza-gateway", image)
        kubectl("delete", *deleted)
        kubectl("set", "image", "deployment/pizza-gateway", "gateway=somebody-elses:1")
        for what in deleted:
            wait_for(lambda what=what: uid(what) not in (None, before[what]), f"{what} to be put back")
        wait_for(
            lambda: kubectl("get", "deployment/pizza-gateway", image) == wanted, "the image to be put back"
        )
        gateways = "--selector=app.kubernetes.io/instance=pizza,app.kubernetes.io/component=gateway"
        wait_for(
            lambda: len(kubectl.get("pods", gateways)["items"]) == 1, "the pod with the other image to go"
        )
    assert tally.failures == []


def test_a_restarted_operator_continues_the_rollout_and_no_pod_restarts(
    pizza: Classifier, pictures: dict[str, Path], cluster_kubectl: Kubectl, wait_for: Wait
) -> None:
    selector = "app.kubernetes.io/instance=pizza,app.kubernetes.io/component in (serving,gateway)"

    def restarts() -> dict[str, int]:
        pods = pizza.kubectl.get("pods", f"--selector={selector}")["items"]
        return {
            pod["metadata"]["name"]: sum(each["restartCount"] for each in pod["status"]["containerStatuses"])
            for pod in pods
            if "deletionTimestamp" not in pod["metadata"] and "containerStatuses" in pod["status"]
        }

    pizza.wait_ready(1)
    before = {name: count for name, count in restarts().items() if "-v2-" not in name}
    operator = "app.kubernetes.io/name=imageclassifier-operator"
    with pizza.requests(pictures["pizza"].read_bytes()) as tally:
        ask_for(pizza, models.MISLABELLED)
        new = f"deployment/pizza-serving-v{models.MISLABELLED}"
        wait_for(lambda: pizza.kubectl("get", new, "--ignore-not-found"), "version 3 to be begun")
        cluster_kubectl("delete", "pods", *SYSTEM, f"--selector={operator}", "--grace-period=1")
        pizza.wait_ready(models.MISLABELLED)
    assert tally.failures == []
    assert before.items() <= restarts().items()


def test_a_deleted_classifier_leaves_nothing(leaving: Leaving, wait_for: Wait) -> None:
    kinds = {what.split("/")[0] for what in leaving.belongings}
    assert kinds >= {"deployment.apps", "pod", "service", "configmap", "job.batch", "replicaset.apps"}
    kubectl = leaving.classifier.kubectl
    wait_for(lambda: children(kubectl, "leaving") == [], "all that belonged to the classifier to go")


def test_a_namespace_with_a_classifier_can_be_deleted(
    leaving: Leaving, cluster_kubectl: Kubectl, wait_for: Wait
) -> None:
    def is_gone() -> bool:
        return not cluster_kubectl("get", "namespace", leaving.namespace, "--ignore-not-found")

    wait_for(is_gone, "the namespace to go")
