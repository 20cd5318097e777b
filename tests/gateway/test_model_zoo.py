"""Models as people export them are served by the spec of the zoo, or refused with a sentence that helps.

The specs go through the operator, and the models of tests/support/model_zoo.py through a TensorFlow runtime.
"""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import model_zoo
import numpy as np
import pytest
from PIL import Image

from gateway_process import GatewayProcess, request
from gateway_testbed import eventually, routing_document, write_atomically
from imageclassifier_operator import api
from real_model_server import running


def png(pixels: Any) -> bytes:
    Image.fromarray(pixels).save(file := io.BytesIO(), "PNG")
    return file.getvalue()


@dataclass
class Zoo:
    """A model server with all models, and a gateway that serves one of them after the other."""

    target: str
    gateway: GatewayProcess
    expected: dict[str, Any]
    revision: int = field(default=1)

    def contract(self, entry: model_zoo.Entry) -> Any:
        model = {"name": entry.name, "version": 1, "source": {"image": {"reference": "a"}}}
        spec = {"model": model, **entry.full_spec()}
        body = {"metadata": {"name": "zoo", "namespace": "n", "uid": "u"}, "spec": spec}
        return api.parse(body, entry.class_file or None).contract

    def connect(self, entry: model_zoo.Entry) -> Any:
        """Lets the gateway serve this model, and returns what it reports."""
        self.revision += 1
        contract = self.contract(entry)
        document = json.loads(routing_document(entry.name, {1: self.target}, contract=contract))
        write_atomically(self.gateway.routing_file, json.dumps({**document, "revision": self.revision}))

        def report() -> Any:
            state = self.gateway.rollout()
            version = (state["versions"] or {}).get("1", {})
            is_known = version.get("ready") or version.get("error") != "Not connected yet."
            return version if state["revision"] == self.revision and is_known else None

        return eventually(report, f"the gateway has tried {entry.name}")


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zoo]:
    folder = tmp_path_factory.mktemp("zoo")
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": ""}
    subprocess.run([sys.executable, model_zoo.__file__, str(folder)], check=True, env=environment)
    gateway = GatewayProcess(tmp_path_factory.mktemp("gateway"))
    try:
        served = [entry.name for entry in model_zoo.ENTRIES]
        served += [f"{entry.name}.classes" for entry in model_zoo.ENTRIES if entry.model_file]
        with running(folder, tuple(served)) as target:
            gateway.start()
            yield Zoo(target, gateway, json.loads((folder / "expected.json").read_text()))
    finally:
        gateway.stop()


@pytest.mark.parametrize(
    "entry", [each for each in model_zoo.ENTRIES if not each.refusal], ids=lambda entry: entry.name
)
def test_a_picture_gets_the_probabilities_of_the_model_called_directly(
    zoo: Zoo, entry: model_zoo.Entry
) -> None:
    report = zoo.connect(entry)
    assert report["ready"], report["error"]
    instances = [{"b64": base64.b64encode(png(each)).decode()} for each in model_zoo.pictures()]
    for sent, rows in (
        (instances, zoo.expected[entry.name]),
        (instances[:1], zoo.expected[entry.name][:1]),
    ):
        body = json.dumps({"instances": sent})
        headers = {"Content-Type": "application/json"}
        answer = request(zoo.gateway.port, "POST", f"/v1/models/{entry.name}:predict", body, headers)
        assert answer.status == 200, answer.body
        np.testing.assert_allclose(answer.json["predictions"], rows, rtol=0, atol=1e-5)
    spread = np.ptp(np.array(zoo.expected[entry.name]), axis=0).max()
    assert spread > 1e-3, "the model does not tell the pictures apart, so this test shows nothing"


@pytest.mark.parametrize(
    "entry", [each for each in model_zoo.ENTRIES if each.refusal], ids=lambda entry: entry.name
)
def test_a_model_that_cannot_be_served_is_refused_with_what_to_do(zoo: Zoo, entry: model_zoo.Entry) -> None:
    report = zoo.connect(entry)
    assert not report["ready"]
    assert entry.refusal in report["error"]


def test_ten_thousand_classes_are_answered_by_name_and_counted_in_one_series(zoo: Zoo) -> None:
    [entry] = [each for each in model_zoo.ENTRIES if each.name == "ten-thousand-classes"]
    report = zoo.connect(entry)
    assert (report["ready"], report["classes"]) == (True, None)
    answer = request(zoo.gateway.port, "POST", "/predict", png(model_zoo.pictures()[0]), {})
    assert answer.status == 200, answer.body
    best = int(np.argmax(zoo.expected[entry.name][0]))
    assert answer.json["label"] == f"{best:05} a label that is not short"
    assert len(answer.json["probabilities"]) == 10_000


def test_labels_that_repeat_get_unique_names_and_are_shown_as_they_are(zoo: Zoo) -> None:
    [entry] = [each for each in model_zoo.ENTRIES if each.name == "background-class-beside-a-file"]
    report = zoo.connect(entry)
    assert report["classes"][:3] == ["background", "label 0 (0)", "label 0 (1)"]
    answer = request(zoo.gateway.port, "POST", "/predict", png(model_zoo.pictures()[0]), {})
    best = int(np.argmax(zoo.expected[entry.name][0]))
    assert best > 0
    assert answer.json["label"] == f"label {(best - 1) // 2} ({best - 1})"
    assert answer.json["display_name"] == f"label {(best - 1) // 2}"
    assert answer.json["prediction"] == f"It's label {(best - 1) // 2}."


def test_a_class_file_in_the_model_gives_names_and_labels_and_its_background_class_is_reported(
    zoo: Zoo,
) -> None:
    [entry] = [each for each in model_zoo.ENTRIES if each.name == "class-file-in-the-model"]
    zoo.connect(entry)
    answer = request(zoo.gateway.port, "POST", "/predict", png(model_zoo.pictures()[0]), {})
    best = int(np.argmax(zoo.expected[entry.name][0]))
    assert best > 0
    assert answer.json["label"] == f"n{best - 1:08}"
    assert answer.json["display_name"] == f"label {best - 1}"
    assert next(iter(answer.json["probabilities"])) == "background"
