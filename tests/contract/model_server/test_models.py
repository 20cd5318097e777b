"""Models while they serve: labels, new configurations, versions that appear and vanish."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import text_format
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import get_model_status_pb2
from tensorflow_serving.config import model_server_config_pb2


@pytest.fixture
def config(server: Any, directory: Path) -> Iterator[Any]:
    """The configuration the server was started with, which it gets back after the test."""
    original = text_format.Parse(
        (directory / "models.config").read_text(), model_server_config_pb2.ModelServerConfig()
    )
    changed = model_server_config_pb2.ModelServerConfig()
    changed.CopyFrom(original)
    yield changed
    server.reload(original)


def add(config: Any, directory: Path, name: str) -> Any:
    return config.model_config_list.config.add(
        name=name, base_path=f"{directory}/models/{name}", model_platform="tensorflow"
    )


def test_a_label_stands_for_a_version_and_moves(
    server: Any, config: Any, failure: Callable[..., Any]
) -> None:
    everything = config.model_config_list.config[0]
    everything.version_labels["stable"] = 1
    server.reload(config)
    assert server.half_plus(4.0, label="stable") == 4.0
    path = "/v1/models/everything/labels/stable:predict"
    body = {"signature_name": "half_plus", "instances": [4.0]}
    assert server.post(path, body).json() == {"predictions": [4.0]}
    everything.version_labels["stable"] = 2
    server.reload(config)
    assert server.half_plus(4.0, label="stable") == 5.0
    del everything.version_labels["stable"]
    server.reload(config)
    failed = failure(lambda: server.half_plus(4.0, label="stable"))
    assert failed.message == "Unrecognized servable version label: stable"


def test_a_label_cannot_name_a_version_that_does_not_serve(
    server: Any, config: Any, failure: Callable[..., Any]
) -> None:
    config.model_config_list.config[0].version_labels["next"] = 3
    failed = failure(lambda: server.reload(config))
    assert failed.code is grpc.StatusCode.FAILED_PRECONDITION
    assert failed.message == (
        "Request to assign label to version 3 of model everything, which is not currently available for "
        "inference"
    )


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("name", "everything", "Illegal to list model everything multiple times in config list"),
        (
            "base_path",
            "models/warm",
            "Expected model warm to have an absolute path or URI; got base_path()=models/warm",
        ),
        (
            "model_platform",
            "",
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
            "ModelServerConfig::model_platform, model name is warm",
        ),
    ],
)
def test_an_invalid_configuration_is_refused(
    server: Any, config: Any, failure: Callable[..., Any], field: str, value: str, message: str
) -> None:
    setattr(config.model_config_list.config[1], field, value)
    failed = failure(lambda: server.reload(config))
    assert (failed.code, failed.message) == (grpc.StatusCode.INVALID_ARGUMENT, message)
    assert server.half_plus(4.0) == 5.0


def test_a_model_removed_from_the_configuration_is_unloaded_and_can_be_added_again(
    server: Any, config: Any, failure: Callable[..., Any]
) -> None:
    everything = config.model_config_list.config[0]
    server.wait_for("warm", {1: "AVAILABLE"})
    del config.model_config_list.config[1]
    server.reload(config)
    server.wait_for("warm", {1: "END"})
    failed = failure(lambda: server.half_plus(1.0, model="warm"))
    assert (failed.code, failed.message) == (
        grpc.StatusCode.NOT_FOUND,
        "Servable not found for request: Latest(warm)",
    )
    config.model_config_list.config.add(
        name="warm", base_path=everything.base_path.replace("everything", "warm"), model_platform="tensorflow"
    )
    server.reload(config)
    assert server.half_plus(4.0, model="warm") == 4.0  # it serves when the reload returns


@pytest.mark.parametrize(
    ("model", "reason"),
    [("broken", "saved_model.pb"), ("cold", 'Serving signature key "no_such_signature" not found.')],
)
def test_a_new_model_that_cannot_be_loaded_is_reported_by_the_reload_and_the_status(
    server: Any, config: Any, directory: Path, failure: Callable[..., Any], model: str, reason: str
) -> None:
    add(config, directory, model)
    failed = failure(lambda: server.reload(config))
    assert failed.code is grpc.StatusCode.UNKNOWN
    assert failed.message.startswith(
        f"1 model(s) did not become available: {{{{{{name: {model} version: 1}} due to error: "
    )
    assert reason in failed.message
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = model
    status = server.model_service.GetModelStatus(request).model_version_status[0]
    assert status.state == get_model_status_pb2.ModelVersionStatus.END
    assert status.status.error_code != 0
    assert reason in status.status.error_message
    assert server.half_plus(4.0) == 5.0


def test_versions_appear_and_vanish_with_their_directories(
    server: Any, config: Any, directory: Path, failure: Callable[..., Any]
) -> None:
    base = directory / "models/comes_and_goes"

    def put(version: int) -> None:
        shutil.copytree(directory / "models/everything" / str(version), base / f"not-yet-{version}")
        (base / f"not-yet-{version}").rename(base / str(version))

    try:
        put(1)
        add(config, directory, "comes_and_goes")
        server.reload(config)
        assert server.half_plus(4.0, model="comes_and_goes") == 4.0
        put(2)
        server.wait_for("comes_and_goes", {2: "AVAILABLE", 1: "END"})  # the default policy: the latest one
        assert server.half_plus(4.0, model="comes_and_goes") == 5.0
        shutil.rmtree(base / "2")
        server.wait_for("comes_and_goes", {2: "END", 1: "AVAILABLE"})
        shutil.rmtree(base / "1")
        server.wait_for("comes_and_goes", {2: "END", 1: "END"})
        failed = failure(lambda: server.half_plus(4.0, model="comes_and_goes"))
        assert failed.message == "Servable not found for request: Latest(comes_and_goes)"
    finally:
        for leftover in base.iterdir():
            shutil.rmtree(leftover)


def test_requests_succeed_while_models_are_added_and_removed(server: Any, config: Any) -> None:
    warm = config.model_config_list.config[1]
    for _ in range(2):
        del config.model_config_list.config[1]
        server.reload(config)
        pending = [
            server.prediction.Predict.future(server.request({"pixels": _pixels()}), timeout=60)
            for _ in range(8)
        ]
        config.model_config_list.config.add().CopyFrom(warm)
        server.wait_for("warm", {1: "END"})
        server.reload(config)
        assert all(len(call.result().outputs) == 1 for call in pending)


def _pixels() -> Any:
    import numpy as np

    return np.zeros((1, 4, 4, 3), np.uint8)


def test_an_unknown_model_has_no_status(server: Any, failure: Callable[..., Any]) -> None:
    request = get_model_status_pb2.GetModelStatusRequest()
    assert failure(lambda: server.model_service.GetModelStatus(request)).message == "Missing ModelSpec"
    request.model_spec.name = "nothing"
    failed = failure(lambda: server.model_service.GetModelStatus(request))
    assert (failed.code, failed.message) == (
        grpc.StatusCode.NOT_FOUND,
        "Could not find any versions of model nothing",
    )


def test_the_health_service_answers(server: Any, failure: Callable[..., Any]) -> None:
    stub = health_pb2_grpc.HealthStub(server.channel)
    for service in ("", "ModelService", "PredictionService"):
        response = stub.Check(health_pb2.HealthCheckRequest(service=service))
        assert response.status == health_pb2.HealthCheckResponse.SERVING
    failed = failure(lambda: stub.Check(health_pb2.HealthCheckRequest(service="nothing")))
    assert failed.code is grpc.StatusCode.NOT_FOUND
