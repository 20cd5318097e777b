"""Models that people bring, on the laptop cluster: the manifests of examples/ serve them, and a picture sent
to a gateway gets the probabilities of the model called directly.

The models are tiny and have random weights. The manifests name their images, so only the size and the number
of the pods are changed, and the endpoint of the bucket.
"""

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import model_zoo
import numpy as np
import pytest
import usual_models

from bucket_server import KEYS, BucketServer, bucket_server
from cluster_testbed import Classifier, Kubectl, Wait, example, load_models, run
from laptop import places
from laptop.traffic import predict

pytestmark = pytest.mark.cluster

MODELS = {"imagenet": "mobilenet", "mnist": "mnist", "cats-dogs": "cats-dogs", "flowers": "flowers"}
"""The ImageClassifiers of imagenet.yaml, mnist.yaml, xception.yaml and onnx.yaml, and the model of each."""
BUCKET = "flowers-from-bucket"


@pytest.fixture(scope="module")
def models() -> Path:
    """The models of `usual_models`, made once."""
    gateway = places.REPOSITORY / "gateway/src/imageclassifier_gateway"
    packages = (places.REPOSITORY / "training/src", gateway / "contract", gateway / "pixels")
    scripts = [Path(usual_models.__file__), Path(model_zoo.__file__)]
    sources = [*scripts, *(file for package in packages for file in package.rglob("*.py"))]
    directory = places.cached("usual-models", places.digest([], sources))
    if not directory.exists():
        unfinished = directory.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        run(usual_models.__file__, unfinished)
        places.replace_directory(unfinished, directory)
    return directory


@pytest.fixture(scope="module")
def bucket(models: Path, cluster_kubectl: Kubectl, module_kubectl: Kubectl) -> Iterator[BucketServer]:
    """A server with the bucket of bucket.yaml, in which the model is."""
    with bucket_server(cluster_kubectl, f"{module_kubectl.namespace}-store", source()["region"]) as server:
        server.upload(models / "flowers", "flowers")
        yield server


@pytest.fixture(scope="module")
def classifiers(
    installed: object, models: Path, bucket: BucketServer, module_kubectl: Kubectl, wait_for: Wait
) -> dict[str, Classifier]:
    """All of them, applied together. The Secret of the bucket has a wrong key."""
    load_models(models)
    [from_bucket] = example("bucket")
    from_bucket["spec"]["model"]["source"]["storage"]["endpoint"] = bucket.endpoint
    manifests = [body for name in ("imagenet", "mnist", "xception", "onnx") for body in example(name)]
    module_kubectl.apply(secret({**KEYS, "AWS_SECRET_ACCESS_KEY": "mistyped"}), from_bucket, *manifests)
    return {name: Classifier(module_kubectl, wait_for, name) for name in (*MODELS, BUCKET)}


def source() -> dict[str, Any]:
    """The source of the model in bucket.yaml."""
    [body] = example("bucket")
    storage: dict[str, Any] = body["spec"]["model"]["source"]["storage"]
    return storage


def secret(entries: dict[str, str]) -> dict[str, Any]:
    """The Secret that bucket.yaml names, with these entries."""
    data = {name: base64.b64encode(value.encode()).decode() for name, value in entries.items()}
    metadata = {"name": source()["credentialsFrom"]["secret"]}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}


def assert_gives_what_the_model_gives(classifier: Classifier, models: Path, model: str) -> None:
    expected = json.loads((models / "expected.json").read_text())[model]
    rows = np.array(expected["probabilities"])
    assert np.ptp(rows, axis=0).max() > 0.01, "the model does not tell the pictures apart"
    with classifier.gateway() as port:
        answers = [predict(port, usual_models.png(each)) for each in usual_models.pictures(model)]
    assert [list(answer["probabilities"]) for answer in answers] == [expected["classes"]] * len(rows)
    found = [list(answer["probabilities"].values()) for answer in answers]
    np.testing.assert_allclose(found, rows, rtol=0, atol=1e-5)
    best = [expected["classes"][column] for column in rows.argmax(axis=1)]
    assert [answer["label"] for answer in answers] == best


def test_the_keys_of_a_bucket_are_refused_in_the_words_of_the_store_until_they_are_corrected(
    classifiers: dict[str, Classifier], models: Path
) -> None:
    classifier = classifiers[BUCKET]
    classifier.wait_reason("Ready", "ModelDownloadFailed")
    row = classifier.kubectl("get", "imageclassifier", BUCKET, "--output=wide", "--no-headers")
    assert "ModelDownloadFailed" in row.split()
    uri = source()["uri"].replace("{version}", "1")
    assert f"{uri}: the store responds with 403 Forbidden: SignatureDoesNotMatch: " in row
    assert "Correct the Secret in spec.model.source.storage.credentialsFrom." in row

    classifier.kubectl.apply(secret(KEYS))
    classifier.wait_ready(1)
    assert_gives_what_the_model_gives(classifier, models, "flowers")
    # The command in docs/serve-your-model.md.
    command = "find . -type f | LC_ALL=C sort | xargs sha256sum | sha256sum"
    printed = subprocess.check_output(["sh", "-c", command], cwd=models / "flowers/1", text=True)
    assert classifier.status()["modelDigest"] == f"sha256:{printed.split()[0]}"


@pytest.mark.parametrize("name", MODELS)
def test_a_picture_gets_the_probabilities_of_the_model_called_directly(
    classifiers: dict[str, Classifier], models: Path, name: str
) -> None:
    classifiers[name].wait_ready(1)
    assert_gives_what_the_model_gives(classifiers[name], models, MODELS[name])
