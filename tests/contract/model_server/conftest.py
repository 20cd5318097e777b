"""A server to hold against the contract: ours by default, any other by command or by address (README.md)."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import requests
from free_ports import free_port
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)
from waiting import wait_until

REPOSITORY = Path(__file__).parents[3]
LAUNCHER = REPOSITORY / "model_server/src/model_server/tensorflow_model_server"
START_SECONDS = 180  # TensorFlow's import takes seconds, and much longer on a machine that is busy
CALL_SECONDS = 60


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("model server")
    group.addoption("--model-server", help="HOST:PORT of the gRPC port of a server that is already running")
    group.addoption("--model-server-rest", help="HOST:PORT of its REST port")
    group.addoption("--model-server-directory", help="the directory of prepare.py that it serves from")
    group.addoption("--model-server-command", help="the command to start servers with, instead of ours")


@dataclass
class Server:
    """A server under test, seen from outside."""

    grpc_address: str
    rest_address: str
    process: "subprocess.Popen[bytes] | None" = None
    log: Path | None = None

    def __post_init__(self) -> None:
        self.channel = grpc.insecure_channel(self.grpc_address, options=[("grpc.enable_retries", 0)])
        self.prediction = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.model_service = model_service_pb2_grpc.ModelServiceStub(self.channel)

    def request(
        self,
        inputs: Mapping[str, Any],
        model: str = "everything",
        signature: str = "",
        version: int | None = None,
        label: str | None = None,
        outputs: tuple[str, ...] = (),
    ) -> Any:
        """A PredictRequest; arrays go into tensor_content, as our gateway does it."""
        from model_server.tensors import to_proto

        request = predict_pb2.PredictRequest(output_filter=outputs)
        request.model_spec.name = model
        request.model_spec.signature_name = signature
        if version is not None:
            request.model_spec.version.value = version
        if label is not None:
            request.model_spec.version_label = label
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(to_proto(value) if isinstance(value, np.ndarray) else value)
        return request

    def predict(self, inputs: Mapping[str, Any], **spec: Any) -> Any:
        """Call Predict and give the response message."""
        return self.prediction.Predict(self.request(inputs, **spec), timeout=CALL_SECONDS)

    def half_plus(self, x: float, **spec: Any) -> float:
        """y = x / 2 + 1 + version."""
        response = self.predict({"x": np.array([x], np.float32)}, signature="half_plus", **spec)
        return float(response.outputs["y"].float_val[0])

    def states(self, model: str) -> dict[int, str]:
        """The state of each version of a model; none when the server does not know it."""
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = model
        try:
            response = self.model_service.GetModelStatus(request, timeout=CALL_SECONDS)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return {}
            raise
        names = get_model_status_pb2.ModelVersionStatus.State
        return {status.version: names.Name(status.state) for status in response.model_version_status}

    def wait_for(self, model: str, states: dict[int, str]) -> None:
        """Wait until the versions of a model are in these states."""
        wait_until(lambda: self.states(model) == states, f"{model} in {states}, now {self.states(model)}")

    def reload(self, config: Any) -> Any:
        """Push a ModelServerConfig."""
        request = model_management_pb2.ReloadConfigRequest(config=config)
        return self.model_service.HandleReloadConfigRequest(request, timeout=START_SECONDS)

    def get(self, path: str) -> requests.Response:
        return requests.get(f"http://{self.rest_address}{path}", timeout=CALL_SECONDS)

    def post(self, path: str, body: Any) -> requests.Response:
        return requests.post(f"http://{self.rest_address}{path}", json=body, timeout=CALL_SECONDS)


@dataclass(frozen=True)
class Failure:
    """The status code and the message of a failed call."""

    code: grpc.StatusCode
    message: str


@pytest.fixture(scope="session")
def failure() -> Callable[[Callable[[], Any]], Failure]:
    """Make a call that must fail, and return its code and message."""

    def call(function: Callable[[], Any]) -> Failure:
        with pytest.raises(grpc.RpcError) as caught:
            function()
        return Failure(caught.value.code(), caught.value.details())

    return call


@pytest.fixture(scope="session")
def eventually() -> Callable[..., None]:
    """Wait for a condition, with a generous limit."""
    return wait_until


@pytest.fixture(scope="session")
def directory(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models and configuration files of prepare.py."""
    given = request.config.getoption("--model-server-directory", default=None)
    if given:
        return Path(given)
    made = tmp_path_factory.mktemp("model_server")
    subprocess.run(
        [sys.executable, Path(__file__).parent / "prepare.py", made], check=True, capture_output=True
    )
    return made


@pytest.fixture(scope="session")
def command(request: pytest.FixtureRequest) -> list[str]:
    """The command that starts a server; the tests that need it cannot run against an address."""
    given = request.config.getoption("--model-server-command", default=None)
    if given:
        return shlex.split(given)
    if request.config.getoption("--model-server", default=None):
        pytest.skip("needs to start a server of its own, and only an address was given")
    return [str(LAUNCHER)]


@pytest.fixture(scope="session")
def launch(command: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Starts servers with the given flags; kills them at the end."""
    servers: list[Server] = []

    def start(*flags: str, wait: bool = True) -> Server:
        port, rest_port = free_port(), free_port()
        log = tmp_path_factory.mktemp("server") / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*command, f"--port={port}", f"--rest_api_port={rest_port}", *flags],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ
                | {"MODEL_SERVER_BIND_ADDRESS": "127.0.0.1", "MODEL_SERVER_PYTHON": sys.executable},
            )
        server = Server(f"127.0.0.1:{port}", f"127.0.0.1:{rest_port}", process, log)
        servers.append(server)
        if wait:
            _wait_for_start(server)
        return server

    yield start
    for server in servers:
        server.channel.close()
        if server.process is not None:
            server.process.send_signal(signal.SIGKILL)
            server.process.wait()


def _wait_for_start(server: Server) -> None:
    ready = grpc.channel_ready_future(server.channel)
    deadline = time.monotonic() + START_SECONDS
    while not ready.done():
        try:
            ready.result(timeout=0.5)
        except grpc.FutureTimeoutError:
            assert server.process is not None
            assert server.log is not None
            assert server.process.poll() is None, f"the server ended:\n{server.log.read_text()}"
            assert time.monotonic() < deadline, f"the server did not start:\n{server.log.read_text()}"


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest, directory: Path) -> Server:
    """The server that most tests talk to; README.md has its flags for one that is started by hand."""
    address = request.config.getoption("--model-server", default=None)
    if address:
        return Server(address, request.config.getoption("--model-server-rest"))
    started: Server = request.getfixturevalue("launch")(
        f"--model_config_file={directory}/models.config",
        f"--monitoring_config_file={directory}/monitoring.config",
        "--file_system_poll_wait_seconds=1",
        "--max_num_load_retries=0",
        "--enable_grpc_healthcheck_service",
        "--grpc_max_threads=32",
    )
    return started


@pytest.fixture(scope="session")
def batching_server(launch: Callable[..., Server], directory: Path) -> Server:
    """A server that runs a batch when eight rows have come together, or a request fills it."""
    return launch(
        "--model_name=everything",
        f"--model_base_path={directory}/models/everything",
        "--enable_batching",
        f"--batching_parameters_file={directory}/batching.config",
        "--grpc_channel_arguments=grpc.max_connection_age_ms=1000,grpc.max_connection_age_grace_ms=60000",
        "--enable_grpc_healthcheck_service",
        "--grpc_max_threads=32",
        "--tensorflow_session_parallelism=1",
    )
