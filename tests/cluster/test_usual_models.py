"""The examples for models from elsewhere on the laptop cluster: each is applied as it is, and classifies."""

import json
from pathlib import Path

import numpy as np
import pytest
import usual_models

from cluster_testbed import Classifier, Kubectl, Wait, example, run
from laptop import places
from laptop.cluster_state import LAPTOP
from laptop.traffic import predict

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def usual_images(installed: object) -> None:
    """The models of examples/mnist.yaml and examples/onnx.yaml, as images on the cluster."""
    script = Path(usual_models.__file__)
    key = places.digest(["usual models"], [script, *(places.REPOSITORY / "training/src").rglob("*.py")])
    directory = places.cached("usual-models", key)
    if not directory.exists():
        unfinished = directory.with_suffix(".unfinished")
        run(script, unfinished)
        places.replace_directory(unfinished, directory)
    build = places.KIND / "build_images.py"
    assert json.loads(run(build, "--load", LAPTOP.name, "--models", directory, "gateway"))


def test_the_model_of_tensorflow_servings_tutorial_and_an_adopted_one_answer(
    usual_images: None, kubectl: Kubectl, wait_for: Wait
) -> None:
    kubectl.apply(*example("mnist"), *example("onnx"))
    mnist, flowers = (Classifier(kubectl, wait_for, name) for name in ("mnist", "flowers"))
    mnist.wait_ready(1)
    with mnist.gateway() as port:
        pictures = [usual_models.png(usual_models.digit(number)) for number in range(10)]
        labels = [predict(port, picture)["label"] for picture in pictures]
    assert labels == [str(number) for number in range(10)]

    flowers.wait_ready(1)
    with flowers.gateway() as port:
        plain = {
            name: np.broadcast_to(np.array(colour, np.uint8), (64, 64, 3))
            for name, colour in usual_models.FLOWERS.items()
        }
        labels = [predict(port, usual_models.png(pixels))["label"] for pixels in plain.values()]
    assert labels == list(plain)
