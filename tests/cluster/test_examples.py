"""The examples on the laptop cluster: each does what its first lines promise, with the pizza models and tiny
ones.

Only what would make a test slow or two tests disturb each other is changed: the node port is left out, and
steps are seconds long.
"""

import io
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from laptop import cluster, models
from laptop.traffic import SteadyTraffic, Tally, predict

pytestmark = pytest.mark.cluster

REPOSITORY = Path(__file__).parents[2]
EXAMPLES = REPOSITORY / "examples"
READY_SECONDS = 300

Wait = Callable[..., Any]
Kubectl = Any  # of conftest.py, which tests do not import


@pytest.fixture(scope="session")
def brightness_model(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The model of examples/legacy.yaml, as an image on the cluster."""
    directory = tmp_path_factory.mktemp("models")
    run(EXAMPLES / "tiny_model/make.py", directory, "--name=brightness", "--variant=legacy")
    run(REPOSITORY / "kind/build_images.py", "--load", cluster.LAPTOP.name, "--models", directory)


def run(*command: str | Path) -> str:
    """Runs a Python program of the repository; gives what it prints."""
    done = subprocess.run([sys.executable, *command], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


@pytest.fixture(scope="session")
def pictures() -> dict[str, Path]:
    return models.draw_pictures()


def example(name: str) -> list[dict[str, Any]]:
    """The objects of an example, without the cluster's one node port, and small enough for a laptop."""
    objects = [body for body in yaml.safe_load_all((EXAMPLES / f"{name}.yaml").read_text("utf-8")) if body]
    small = {"requests": {"cpu": "20m", "memory": "128Mi"}, "limits": {"cpu": "1", "memory": "2Gi"}}
    for body in objects:
        if body["kind"] == "ImageClassifier":
            gateway = {"service": {"type": "ClusterIP"}, "replicas": 1, "resources": small}
            body["spec"] |= {"gateway": gateway, "serving": {"resources": small}}
    return objects


class Classifier:
    """One ImageClassifier on the cluster, as a user sees it."""

    def __init__(self, kubectl: Kubectl, wait_for: Wait, name: str) -> None:
        self._kubectl, self.wait_for, self.name = kubectl, wait_for, name

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = self._kubectl.get("imageclassifier", self.name).get("status", {})
        return status

    def condition(self, kind: str) -> dict[str, Any]:
        found = self._kubectl.get("imageclassifier", self.name)
        for condition in found.get("status", {}).get("conditions", []):
            if (
                condition["type"] == kind
                and condition["observedGeneration"] == found["metadata"]["generation"]
            ):
                return dict(condition)
        return {}

    def wait_ready(self, version: int) -> None:
        def ready() -> bool:
            is_ready = self.condition("Ready").get("status") == "True"
            return is_ready and self.status()["servingVersion"] == version

        self.wait_for(ready, f"{self.name}: version {version} to be ready", READY_SECONDS)

    def wait_reason(self, condition: str, reason: str) -> str:
        """Until a condition has this reason; gives its message."""

        def has_it() -> bool:
            return self.condition(condition).get("reason") == reason

        self.wait_for(has_it, f"{self.name}: {condition} because of {reason}", READY_SECONDS)
        return str(self.condition(condition)["message"])

    @contextmanager
    def gateway(self) -> Iterator[int]:
        """A port of this machine that leads to one of the gateway's pods."""
        command = [
            *(self._kubectl.program, f"--context={self._kubectl.context}"),
            *(
                f"--namespace={self._kubectl.namespace}",
                "port-forward",
                f"service/{self.name}-gateway",
                ":http",
            ),
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as forward:
            assert forward.stdout is not None
            try:
                found = re.search(r"127\.0\.0\.1:(\d+)", forward.stdout.readline())
                assert found, "kubectl port-forward did not say its port"
                yield int(found[1])
            finally:
                forward.terminate()


@pytest.fixture
def pizza(installed: object, kubectl: Kubectl, wait_for: Wait) -> Classifier:
    """Version 1 of examples/pizza.yaml, serving."""
    kubectl.apply(*example("pizza"))
    classifier = Classifier(kubectl, wait_for, "pizza")
    classifier.wait_ready(1)
    return classifier


def test_pizza_is_told_from_something_else_by_the_client_of_the_examples(
    pizza: Classifier, pictures: dict[str, Path]
) -> None:
    with pizza.gateway() as port:
        client = EXAMPLES / "predict_test.py"
        both = (pictures["pizza"], pictures["not_pizza"])
        said = run(client, "--gateway", f"http://127.0.0.1:{port}", *both).splitlines()
    assert ["It's a pizza!" in said[0], "Not a pizza." in said[1]] == [True, True]


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


def plain_picture(brightness: int) -> bytes:
    """A PNG of one grey."""
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), (brightness, brightness, brightness)).save(buffer, "PNG")
    return buffer.getvalue()


def roll_out(
    pizza: Classifier, kubectl: Kubectl, body: dict[str, Any], picture: Path, then: Callable[[], None]
) -> Tally:
    """Applies an example over version 1 while requests go on, until `then` returns; gives how they went."""
    with pizza.gateway() as port, SteadyTraffic(port, picture.read_bytes(), per_second=16) as traffic:
        traffic.wait_for_more(10)
        kubectl.apply(body)
        then()
        traffic.wait_for_more(10)
    return traffic.tally


def test_a_canary_takes_its_share_and_then_all_without_a_lost_request(
    pizza: Classifier, kubectl: Kubectl, pictures: dict[str, Path]
) -> None:
    [body] = example("canary")
    for step in body["spec"]["rollout"]["steps"]:
        step["durationSeconds"] = 1
    body["spec"]["rollout"]["minRequests"] = 5
    del body["spec"]["rollout"]["limits"]["p99Milliseconds"]  # this machine's cores are shared
    tally = roll_out(pizza, kubectl, body, pictures["pizza"], lambda: pizza.wait_ready(2))
    assert tally.failures == []
    assert set(tally.by_version) == {1, 2}


def test_a_shadow_is_compared_before_it_takes_over(
    pizza: Classifier, kubectl: Kubectl, pictures: dict[str, Path]
) -> None:
    [body] = example("shadow")
    body["spec"]["rollout"]["shadow"] |= {"percent": 100, "minCompared": 200}

    def until_ready() -> None:
        pizza.wait_reason("Progressing", "Shadowing")
        pizza.wait_for(lambda: pizza.status().get("shadow", {}).get("compared"), "requests to be compared")
        pizza.wait_ready(2)

    tally = roll_out(pizza, kubectl, body, pictures["pizza"], until_ready)
    assert tally.failures == []
    assert set(tally.by_version) == {1, 2}


def test_a_version_that_knows_its_pictures_is_accepted_and_one_that_does_not_is_refused(
    pizza: Classifier, kubectl: Kubectl, pictures: dict[str, Path]
) -> None:
    files = [
        f"--from-file=margherita.jpg={pictures['pizza']}",
        f"--from-file=salad.jpg={pictures['not_pizza']}",
    ]
    kubectl("create", "configmap", "pizza-pictures", *files)
    [body] = example("acceptance")
    tally = roll_out(pizza, kubectl, body, pictures["pizza"], lambda: pizza.wait_ready(2))
    assert tally.failures == []

    body["spec"]["model"]["version"] = models.MISLABELLED
    said: list[str] = []
    tally = roll_out(
        pizza,
        kubectl,
        body,
        pictures["pizza"],
        lambda: said.append(pizza.wait_reason("Progressing", "AcceptanceFailed")),
    )
    assert tally.failures == []
    assert set(tally.by_version) == {2}
    assert "margherita" in said[0]
    assert pizza.condition("Available")["status"] == "True"


def test_a_rollout_by_hand_waits_for_each_promotion(
    pizza: Classifier, kubectl: Kubectl, pictures: dict[str, Path]
) -> None:
    [body] = example("by-hand")

    def promote(value: str) -> None:
        kubectl("annotate", "imageclassifier", "pizza", "--overwrite", f"imageclassifier.dev/promote={value}")

    def by_hand() -> None:
        pizza.wait_reason("Progressing", "Paused")
        assert pizza.status()["candidatePercent"] == 0
        promote("10-percent")
        pizza.wait_for(lambda: pizza.status().get("candidatePercent") == 10, "10 percent")
        promote("all")
        pizza.wait_ready(2)

    tally = roll_out(pizza, kubectl, body, pictures["pizza"], by_hand)
    assert tally.failures == []
