"""The examples on the laptop cluster: each does what its first lines promise, with the pizza models and tiny
ones.

Only what would make a test slow or two tests disturb each other is changed: the node port is left out, and
steps are seconds long.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from cluster_testbed import (
    EXAMPLES,
    Classifier,
    Kubectl,
    Wait,
    ensure_tiny_models,
    example,
    labelled_files,
    plain_picture,
    run,
)
from laptop import models
from laptop.traffic import Tally, predict

pytestmark = pytest.mark.cluster


def client_command(kubectl: Kubectl, *arguments: str) -> list[str]:
    """The command of the plugin, in the namespace of `kubectl`."""
    where = (f"--namespace={kubectl.namespace}", f"--context={kubectl.context}")
    return [sys.executable, "-m", "imageclassifier_client", *arguments, *where]


def client_environment(kubectl: Kubectl) -> dict[str, str]:
    return {**os.environ, "KUBECTL": kubectl.program}


def run_client(kubectl: Kubectl, *arguments: str) -> str:
    """What the plugin prints. Fails if it fails."""
    command = client_command(kubectl, *arguments)
    result = subprocess.run(command, env=client_environment(kubectl), capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="session")
def brightness_model() -> None:
    """The model of examples/legacy.yaml, as an image on the cluster."""
    ensure_tiny_models({"brightness:1": "legacy"})


@pytest.fixture
def pizza(installed: object, module_kubectl: Kubectl, wait_for: Wait) -> Classifier:
    """Version 1 of examples/pizza.yaml alone; where an earlier test left another version, it goes back.

    The other is not kept warm, or the next test would find nothing to roll out.
    """
    [body] = example("pizza")
    body["spec"]["rollout"] = {"keepPreviousSeconds": 0}
    module_kubectl.apply(body)
    classifier = Classifier(module_kubectl, wait_for, "pizza")
    classifier.wait_ready(1)
    wait_for(lambda: classifier.status()["phase"] == "Stable", "the other version to be removed")
    return classifier


def test_the_example_client_distinguishes_pizza_from_other_pictures(
    pizza: Classifier, pictures: dict[str, Path]
) -> None:
    with pizza.gateway() as port:
        client = EXAMPLES / "predict_test.py"
        both = (pictures["pizza"], pictures["not_pizza"])
        said = run(client, "--gateway", f"http://127.0.0.1:{port}", *both).splitlines()
    assert ["It's a pizza!" in said[0], "Not a pizza." in said[1]] == [True, True]


def test_the_plugin_shows_asks_and_opens_a_classifier(pizza: Classifier, pictures: dict[str, Path]) -> None:
    kubectl = pizza.kubectl

    def client(*arguments: str) -> str:
        return run_client(kubectl, *arguments)

    assert "version 1   serving   100 % of the traffic   1 of 1 pods ready" in client("status", "pizza")
    assert client("why", "pizza").startswith("pizza is Ready. Version 1 is fully rolled out.")
    both = (str(pictures["pizza"]), str(pictures["not_pizza"]))
    answers = [json.loads(line) for line in client("predict", "pizza", *both, "-o", "json").splitlines()]
    assert [each["label"] for each in answers] == ["pizza", "not_pizza"]
    assert "pizza-gateway" in client("logs", "pizza", "--component", "gateway", "--tail", "1")
    opened = subprocess.Popen(
        client_command(kubectl, "open", "pizza", "--no-browser"),
        env={**client_environment(kubectl), "COLUMNS": "80"},
        stdout=subprocess.PIPE,
        text=True,
    )
    with opened:
        try:
            assert opened.stdout is not None
            found = re.search(r"http://127.0.0.1:(\d+)/", opened.stdout.readline())
            assert found is not None
            assert predict(int(found[1]), pictures["pizza"].read_bytes())["label"] == "pizza"
        finally:
            opened.terminate()


def test_the_manifest_that_the_plugin_writes_for_an_image_is_accepted(
    installed: object, kubectl: Kubectl
) -> None:
    text = run("-m", "imageclassifier_client", "create", "our-pizza", "pizza-model:1")
    model = yaml.safe_load(text)["spec"]["model"]
    assert model["name"] == "pizza-model"
    assert model["source"] == {"image": {"reference": "pizza-model:{version}"}}
    kubectl("apply", "--dry-run=server", "--validate=strict", "--filename=-", stdin=text)


def test_a_model_from_a_volume_answers(
    installed: object, kubectl: Kubectl, wait_for: Wait, pictures: dict[str, Path]
) -> None:
    kubectl.apply(*example("pvc"))
    classifier = Classifier(kubectl, wait_for, "pizza-from-volume")
    classifier.wait_ready(1)
    with classifier.gateway() as port:
        assert predict(port, pictures["pizza"].read_bytes())["prediction"] == "It's a pizza!"


def test_a_model_that_does_not_describe_itself_answers_as_the_spec_describes_it(
    installed: object, brightness_model: None, kubectl: Kubectl, wait_for: Wait
) -> None:
    kubectl.apply(*example("legacy"))
    classifier = Classifier(kubectl, wait_for, "legacy")
    classifier.wait_ready(1)
    with classifier.gateway() as port:
        answers = [predict(port, plain_picture(brightness)) for brightness in (10, 245)]
    assert [answer["prediction"] for answer in answers] == ["It's dark.", "It's light!"]
    assert [answer["probability"] > 0.99 for answer in answers] == [True, True]


@pytest.fixture(scope="session")
def labelled_pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder with 20 pictures for each class, small enough for a ConfigMap. They are photographs where this
    machine has some, else drawn ones."""
    root = tmp_path_factory.mktemp("labelled")
    folders = {label: root / label for label in ("pizza", "not_pizza")}
    for label, found in labelled_files(20, 20, tmp_path_factory.mktemp("drawn")).items():
        folders[label].mkdir()
        for path in found:
            with Image.open(path) as picture:
                picture.thumbnail((224, 224))
                picture.convert("RGB").save(folders[label] / f"{path.stem}.jpg", "JPEG")
    return folders


def roll_out(pizza: Classifier, body: dict[str, Any], picture: Path, then: Callable[[], None]) -> Tally:
    """Applies an example over version 1 while requests go on, until `then` returns; gives how they went."""
    with pizza.requests(picture.read_bytes()) as tally:
        pizza.kubectl.apply(body)
        then()
    return tally


def refusal_of_the_mislabelled(pizza: Classifier, body: dict[str, Any], picture: Path, reason: str) -> str:
    """Rolls the mislabelled version out over version 2; returns why it is refused. It never answers a request
    meanwhile. Version 1 is still kept, so it may answer in place of version 2 when the machine is busy."""
    body["spec"]["model"]["version"] = models.MISLABELLED
    said: list[str] = []
    tally = roll_out(pizza, body, picture, lambda: said.append(pizza.wait_reason("Progressing", reason)))
    assert tally.failures == []
    assert {2} <= set(tally.by_version) <= {1, 2}
    return said[0]


def test_a_canary_takes_its_share_and_then_all_without_a_lost_request(
    pizza: Classifier, pictures: dict[str, Path]
) -> None:
    [body] = example("canary")
    for step in body["spec"]["rollout"]["steps"]:
        step["durationSeconds"] = 1
    body["spec"]["rollout"]["minRequests"] = 3
    body["spec"]["rollout"]["limits"] = {
        "errorRateIncrease": "50%"
    }  # other processes share the cores of this machine
    tally = roll_out(pizza, body, pictures["pizza"], lambda: pizza.wait_ready(2))
    assert tally.failures == []
    assert set(tally.by_version) == {1, 2}


def test_a_shadow_is_compared_before_its_promotion(pizza: Classifier, pictures: dict[str, Path]) -> None:
    [body] = example("shadow")
    body["spec"]["rollout"]["shadow"] |= {"percent": 100, "minCompared": 240}

    def until_ready() -> None:
        pizza.wait_reason("Progressing", "Shadowing")
        pizza.wait_for(lambda: pizza.status().get("shadow", {}).get("compared"), "requests to be compared")
        pizza.wait_ready(2)

    tally = roll_out(pizza, body, pictures["pizza"], until_ready)
    assert tally.failures == []
    assert set(tally.by_version) == {1, 2}


def test_a_version_that_knows_its_pictures_is_accepted_and_one_that_does_not_is_refused(
    pizza: Classifier, pictures: dict[str, Path]
) -> None:
    files = [
        f"--from-file=margherita.jpg={pictures['pizza']}",
        f"--from-file=salad.jpg={pictures['not_pizza']}",
    ]
    pizza.kubectl("create", "configmap", "pizza-pictures", *files)
    [body] = example("acceptance")
    tally = roll_out(pizza, body, pictures["pizza"], lambda: pizza.wait_ready(2))
    assert tally.failures == []

    message = refusal_of_the_mislabelled(pizza, body, pictures["pizza"], "AcceptanceFailed")
    assert "margherita" in message
    pizza.wait_for(lambda: pizza.condition("Available")["status"] == "True", "a version to answer")


def test_a_version_that_is_not_worse_on_labelled_pictures_is_accepted_and_a_worse_one_is_refused(
    pizza: Classifier, pictures: dict[str, Path], labelled_pictures: dict[str, Path]
) -> None:
    for name, folder in (("pizza-1", "pizza"), ("others-1", "not_pizza")):
        pizza.kubectl("create", "configmap", name, f"--from-file={labelled_pictures[folder]}")
    [body] = example("dataset")
    tally = roll_out(pizza, body, pictures["pizza"], lambda: pizza.wait_ready(2))
    assert tally.failures == []

    message = refusal_of_the_mislabelled(pizza, body, pictures["pizza"], "WorseThanServing")
    assert "Version 3 is worse than version 2 on 40 labelled pictures" in message
    table = pizza.status()["verification"]["dataset"]["classes"]
    assert {row["class"]: row["pictures"] for row in table} == {"pizza": 20, "not_pizza": 20}
    assert all(row["onlyServingRight"] > row["onlyCandidateRight"] for row in table)


def test_a_batch_classifies_the_pictures_of_a_claim(
    pizza: Classifier, labelled_pictures: dict[str, Path], base_image: str
) -> None:
    kubectl = pizza.kubectl
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    kubectl.apply(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "photographs"},
            "spec": claim,
        }
    )
    volumes: list[dict[str, Any]] = [
        {"name": "photographs", "persistentVolumeClaim": {"claimName": "photographs"}}
    ]
    mounts = [{"name": "photographs", "mountPath": "/photographs"}]
    for label, folder in labelled_pictures.items():
        name = f"batch-{label.replace('_', '-')}"
        kubectl("create", "configmap", name, f"--from-file={folder}")
        volumes.append({"name": name, "configMap": {"name": name}})
        mounts.append({"name": name, "mountPath": f"/given/{label}"})

    def on_the_claim(name: str, command: str) -> str:
        container = {"name": "shell", "image": base_image, "command": ["sh", "-c", command]}
        spec = {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "containers": [{**container, "volumeMounts": mounts}],
            "volumes": volumes,
        }
        return kubectl.output_of(
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
        )

    on_the_claim("upload", "mkdir -p /photographs/2026 && cp -rL /given/. /photographs/2026")
    results = ("--results", "photographs/results/2026.jsonl")
    for job in ("first", "second"):
        run_client(kubectl, "batch", "pizza", "--pictures", "photographs/2026", *results, "--job", job)
        kubectl("wait", "--for=condition=Complete", f"job/{job}", "--timeout=100s")
    batches = json.loads(run_client(kubectl, "batches", "-o", "json"))
    progress = {each["name"]: each["progress"] for each in batches}
    assert progress["first"].startswith("Done: 40 of 40 pictures. This run: ")
    assert progress["first"].endswith(", by version 1.")
    assert progress["second"] == "Done: 40 of 40 pictures, 40 of them before. This run: none."
    lines = on_the_claim("download", "cat /photographs/results/2026.jsonl").splitlines()
    rows = [json.loads(line) for line in lines]
    assert len({row["picture"] for row in rows}) == len(rows) == 40
    right = sum(row["picture"].startswith(f"{row['label']}/") for row in rows)
    assert right >= 32


def test_a_rollout_by_hand_waits_for_each_promotion(pizza: Classifier, pictures: dict[str, Path]) -> None:
    [body] = example("by-hand")

    def promote(value: str) -> None:
        pizza.kubectl(
            "annotate", "imageclassifier", "pizza", "--overwrite", f"imageclassifier.dev/promote={value}"
        )

    def by_hand() -> None:
        pizza.wait_reason("Progressing", "Paused")
        assert pizza.status()["candidatePercent"] == 0
        promote("10-percent")
        pizza.wait_for(lambda: pizza.status().get("candidatePercent") == 10, "10 percent")
        promote("all")
        pizza.wait_ready(2)

    tally = roll_out(pizza, body, pictures["pizza"], by_hand)
    assert tally.failures == []
