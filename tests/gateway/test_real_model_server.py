"""The gateway and the verification against a real TensorFlow runtime, and the tests' own model server beside
it.

The stand-in of model_server serves models of examples/tiny_model, which tell light pictures from dark
ones.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fake_model import CONTRACT, FakeModel
from gateway_process import GatewayProcess
from gateway_process import request as http_request
from gateway_testbed import picture, routing_document
from imageclassifier_gateway.contract import parse_contract
from imageclassifier_gateway.versions.model_server_client import ModelServer
from imageclassifier_gateway.versions.model_server_errors import (
    MissingSignatureError,
    ModelServerError,
    ModelUnavailableError,
)
from real_model_server import make_models, running

LEGACY_CONTRACT = {
    "schema": 1,
    "name": "legacy",
    "input": {"height": 32, "width": 32, "dtype": "float32", "scale": 1 / 127.5, "offset": -1.0},
    "classes": [{"name": "dark", "message": "It is dark."}, {"name": "light", "message": "It is light."}],
    "threshold": 0.5,
    "output": {"activation": "sigmoid"},
}
#: Models and their versions, each with the variant of examples/tiny_model that it is.
VARIANTS = {
    ("tiny", 1): "good",
    ("tiny", 2): "inverted",
    ("tiny", 3): "bad-golden",
    ("tiny", 4): "wrong-signature",
    ("legacy", 1): "legacy",
}


@dataclass(frozen=True)
class RealServer:
    """A running model server with all the models above."""

    target: str
    legacy_tensors: tuple[str, str]


@pytest.fixture(scope="session")
def real_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    folder = tmp_path_factory.mktemp("models")
    make_models(folder, VARIANTS)
    with running(folder, ("tiny", "legacy")) as target:
        legacy = ModelServer(target, "legacy", 1)
        signature = legacy.signatures(timeout_seconds=60).signature_def["serving_default"]
        yield RealServer(target, (next(iter(signature.inputs)), next(iter(signature.outputs))))


def legacy_contract(server: RealServer) -> dict[str, Any]:
    """The contract a user would write for the legacy model, with the tensors' names as the model has them."""
    document = json.loads(json.dumps(LEGACY_CONTRACT))
    document["input"]["tensor"], document["output"]["tensor"] = server.legacy_tensors
    return dict(document)


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GatewayProcess]:
    process = GatewayProcess(tmp_path)
    yield process
    process.stop()


def test_the_real_runtime_distinguishes_the_pictures(
    gateway: GatewayProcess, real_server: RealServer
) -> None:
    gateway.start_ready(routing_document("tiny", {1: real_server.target}))
    light, dark = gateway.predict(picture("white")).json, gateway.predict(picture("black")).json
    assert (light["label"], dark["label"]) == ("light", "dark")
    assert light["probability"] > 0.9
    metadata = gateway_get(gateway, "/v1/models/tiny/metadata")["metadata"]["signature_def"]["signature_def"]
    assert metadata["serving_default"]["inputs"]["pixels"]["dtype"] == "DT_UINT8"
    assert gateway_get(gateway, "/v1/models/tiny")["model_version_status"][0]["state"] == "AVAILABLE"


def gateway_get(gateway: GatewayProcess, path: str) -> Any:
    return http_request(gateway.port, "GET", path).json


def test_a_legacy_model_is_served_by_the_contract_of_the_routing_file(
    gateway: GatewayProcess, real_server: RealServer
) -> None:
    contract = legacy_contract(real_server)
    gateway.start_ready(routing_document("legacy", {1: real_server.target}, contract=contract))
    assert gateway.predict(picture("white")).json["prediction"] == "It is light."
    assert gateway.predict(picture("black")).json["prediction"] == "It is dark."


@pytest.mark.parametrize(
    ("model", "version", "reason"),
    [
        ("tiny", 1, None),
        ("tiny", 2, "AcceptanceFailed"),
        ("tiny", 3, "GoldenFailed"),
        ("tiny", 4, "ContractInvalid"),
        ("legacy", 1, None),
        ("tiny", 9, "ContractInvalid"),
    ],
)
def test_each_variant_of_the_model_gets_the_expected_verification_result(
    real_server: RealServer, tmp_path: Path, model: str, version: int, reason: str | None
) -> None:
    white = tmp_path / "white.jpg"
    white.write_bytes(picture("white"))
    plan = {
        "schema": 1,
        "model": model,
        "candidate": {
            "version": version,
            "target": real_server.target,
            "contract": legacy_contract(real_server) if model == "legacy" else None,
        },
        "serving": {"version": 1, "target": real_server.target} if model == "tiny" else None,
        "allow_class_change": False,
        "cases": [
            {"name": "white", "label": "light", "min_probability": 0.8, "picture": {"file": str(white)}}
        ],
        "min_pass_percent": 100,
        "deadline_seconds": 60,
    }
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    result = subprocess.run(
        [sys.executable, "-m", "imageclassifier_gateway.verify", "--plan", str(tmp_path / "plan.json")],
        capture_output=True,
        text=True,
        check=False,
    )
    verdict = json.loads(result.stdout)
    assert (verdict["reason"], result.returncode) == (reason, 0 if reason is None else 1), result.stdout
    if (model, version) == ("tiny", 1):
        assert verdict["golden"]["cases"] > 0


@pytest.mark.parametrize(("version", "reason"), [(1, None), (2, "WorseThanServing")])
def test_a_worse_model_is_refused_on_labelled_pictures_and_an_equal_one_is_not(
    real_server: RealServer, tmp_path: Path, version: int, reason: str | None
) -> None:
    """Version 2 swaps its classes; its golden pictures agree with it."""
    for label, colour in [("light", "#e0e0e0"), ("dark", "#202020")]:
        (tmp_path / "pictures" / label).mkdir(parents=True)
        for number in range(15):
            (tmp_path / "pictures" / label / f"{number}.png").write_bytes(picture(colour, kind="PNG"))
    plan = {
        "schema": 1,
        "model": "tiny",
        "candidate": {"version": version, "target": real_server.target},
        "serving": {"version": 1, "target": real_server.target},
        "dataset": {"root": str(tmp_path / "pictures")},
        "deadline_seconds": 60,
    }
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    command = [sys.executable, "-m", "imageclassifier_gateway.verify", "--plan", str(tmp_path / "plan.json")]
    verdict = json.loads(subprocess.run(command, capture_output=True, text=True, check=False).stdout)
    assert (verdict["reason"], verdict["passed"]) == (reason, reason is None)
    lost = [row["only_serving"] for row in verdict["dataset"]["classes"]]
    assert lost == ([0, 0] if reason is None else [15, 15])


@pytest.fixture(params=["real", "fake"])
def either_server(
    request: pytest.FixtureRequest, make_model: Callable[..., FakeModel]
) -> Callable[[int], ModelServer]:
    """A client of the real server, and one of the server that the other tests use: they must behave alike."""
    if request.param == "real":
        target = request.getfixturevalue("real_server").target
        return lambda version: ModelServer(target, "tiny", version)
    model = make_model(version=1, contract={**CONTRACT, "name": "tiny"})
    return lambda version: ModelServer(model.target, "pizza-model", version)


class TestBothServersBehaveAlike:
    def test_the_contract_is_a_string(self, either_server: Callable[[int], ModelServer]) -> None:
        assert parse_contract(either_server(1).text("contract", timeout_seconds=60)).name == "tiny"

    def test_a_missing_signature_is_reported(self, either_server: Callable[[int], ModelServer]) -> None:
        with pytest.raises(MissingSignatureError):
            either_server(1).text("nothing", timeout_seconds=60)

    def test_a_missing_version_is_an_error_of_the_model(
        self, either_server: Callable[[int], ModelServer]
    ) -> None:
        server = either_server(9)
        pixels = np.zeros((1, 32, 32, 3), dtype=np.uint8)
        for call in (
            lambda: server.predict(
                "serving_default", {"pixels": pixels}, ["probabilities"], timeout_seconds=60
            ),
            lambda: server.status(timeout_seconds=60),
            lambda: server.signatures(timeout_seconds=60),
        ):
            with pytest.raises(ModelServerError) as raised:
                call()
            assert not isinstance(raised.value, ModelUnavailableError)

    def test_an_answer_has_a_row_for_each_picture(self, either_server: Callable[[int], ModelServer]) -> None:
        pixels = np.zeros((3, 32, 32, 3), dtype=np.uint8)
        [answer] = either_server(1).predict(
            "serving_default", {"pixels": pixels}, ["probabilities"], timeout_seconds=60
        )
        assert [dim.size for dim in answer.tensor_shape.dim] == [3, 2]

    def test_the_status_is_available(self, either_server: Callable[[int], ModelServer]) -> None:
        status = either_server(1).status(timeout_seconds=60)
        assert (status.version, status.state, status.HasField("status")) == (1, 30, True)
