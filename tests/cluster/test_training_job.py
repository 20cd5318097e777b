"""A training in the cluster: the commands in the first lines of examples/training-job.yaml are run, and the
version that they make serves.

They are run as they are written there. Only what would make the test slow is changed: drawn images, a small
input, two folds, and what the pods request.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster_testbed import EXAMPLES, Classifier, Kubectl, Wait, example, run
from laptop import models, places
from laptop.cluster_state import LAPTOP
from laptop.traffic import predict

pytestmark = pytest.mark.cluster

_EXAMPLE = EXAMPLES / "training-job.yaml"
_IMAGES = 12
_WAIT_SECONDS = 420


@pytest.fixture(scope="module")
def training_image() -> None:
    """The image of the Job on the cluster, as the first command of the example brings it there."""
    run(places.KIND / "build_images.py", "--load", LAPTOP.name, "training")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder in which the commands of the example find its manifest and the photographs."""
    (tmp_path / "photographs").symlink_to(models.draw_photographs(_IMAGES))
    manifest = tmp_path / "examples" / _EXAMPLE.name
    manifest.parent.mkdir()
    manifest.write_text(yaml.safe_dump_all(smaller(example("training-job"))))
    return tmp_path


def smaller(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The example for few images on a busy machine. A pod that fails is not replaced: the test says why."""
    (job,) = [each for each in objects if each["kind"] == "Job"]
    job["spec"]["backoffLimit"] = 0
    pod = job["spec"]["template"]["spec"]
    (train,), (export,) = pod["initContainers"], pod["containers"]
    train["args"] += ["--backbone=efficientnet_lite0@64", "--folds=2"]
    for container in (train, export):
        container["resources"] = {"requests": {"cpu": "20m", "memory": "128Mi"}, "limits": {"memory": "4Gi"}}
    return objects


def commands() -> list[list[str]]:
    """The commands of kubectl in the first lines of the example."""
    comment = [line[1:].strip() for line in _EXAMPLE.read_text().splitlines() if line.startswith("#")]
    lines = [re.sub(r"\s{2,}\(.*\)$", "", line) for line in comment]
    return [shlex.split(line)[1:] for line in lines if line.startswith("kubectl ")]


def test_the_commands_of_the_example_lead_from_photographs_to_a_version_that_serves(
    installed: object,
    training_image: None,
    kubectl: Kubectl,
    wait_for: Wait,
    home: Path,
) -> None:
    kubectl.apply(*example("pvc"))
    classifier = Classifier(kubectl, wait_for, "pizza-from-volume")
    classifier.wait_ready(1)
    for command in commands():
        try:
            subprocess.run(
                kubectl.command(*command), cwd=home, check=True, capture_output=True, timeout=_WAIT_SECONDS
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            printed = subprocess.run(
                kubectl.command("logs", "job/train-pizza", "--all-containers"),
                capture_output=True,
                check=False,
            )
            pytest.fail(
                f"kubectl {shlex.join(command)}: {error.stderr!r}. The Job printed {printed.stdout!r}"
            )
    classifier.wait_ready(2)
    logs = kubectl("logs", "job/train-pizza", "--all-containers")
    assert "Exported /models/pizza-model/2" in logs
    with classifier.gateway() as port:
        answer = predict(port, next((home / "photographs/pizza").iterdir()).read_bytes())
    assert (answer["prediction"], answer["model"]["version"]) == ("It's a pizza!", 2)
