"""A gateway in a process of its own, and a model server it talks to: a real gRPC server whose answers a test
decides."""

from __future__ import annotations

import http.client
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent import futures
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from free_ports import free_port
from PIL import Image

from imageclassifier_gateway.versions import tfserving_pb2 as pb

CONTRACT = {
    "schema": 1,
    "name": "pizza-model",
    "input": {"height": 32, "width": 32, "resize": "bilinear", "fit": "squash"},
    "classes": [
        {"name": "not_pizza", "message": "Not a pizza."},
        {"name": "pizza", "message": "It's a pizza!"},
    ],
    "threshold": 0.5,
}

_BYTECODE = tempfile.TemporaryDirectory(prefix="bytecode-")


def redness(pixels: np.ndarray) -> np.ndarray:
    """The fixed model of these tests: the redder a picture, the more it is a pizza."""
    mean = pixels.reshape(len(pixels), -1, 3).mean(axis=1)
    pizza = np.clip(mean[:, 0] / np.maximum(mean.sum(axis=1), 1.0), 0.0, 1.0)
    return np.stack([1.0 - pizza, pizza], axis=1).astype(np.float32)


def _shape(*sizes: int) -> pb.TensorShapeProto:
    return pb.TensorShapeProto(dim=[pb.TensorShapeProto.Dim(size=size) for size in sizes])


@dataclass
class FakeModel:
    """One version of a model behind TensorFlow Serving's gRPC API. Tests change its attributes while it
    runs."""

    version: int = 1
    contract: dict[str, Any] | None = field(default_factory=lambda: dict(CONTRACT))
    answer: Callable[[np.ndarray], np.ndarray] = redness
    fail_with: grpc.StatusCode | None = None
    fail_details: str = "as the test wants it"
    #: Gives the status with which the pixels of a request are refused, or None.
    refuse: Callable[[np.ndarray], grpc.StatusCode | None] = lambda pixels: None
    delay_seconds: float = 0.0
    state: pb.ModelVersionStatus.State = pb.ModelVersionStatus.AVAILABLE
    golden: dict[str, Any] | None = None
    requests: list[pb.PredictRequest] = field(default_factory=list)
    metadata: list[dict[str, str]] = field(default_factory=list)
    #: When each of `requests` came, in monotonic seconds.
    times: list[float] = field(default_factory=list)
    port: int = 0
    _server: grpc.Server | None = None

    @property
    def target(self) -> str:
        return f"dns:///127.0.0.1:{self.port}"

    def start(self) -> FakeModel:
        # TensorFlow Serving takes messages of any size.
        options = [("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", -1)]
        self._server = grpc.server(futures.ThreadPoolExecutor(16), options=options)
        handlers: dict[str, dict[str, tuple[Any, Any]]] = {
            "tensorflow.serving.PredictionService": {
                "Predict": (self._predict, pb.PredictRequest),
                "GetModelMetadata": (self._get_metadata, pb.GetModelMetadataRequest),
            },
            "tensorflow.serving.ModelService": {"GetModelStatus": (self._status, pb.GetModelStatusRequest)},
        }
        for service, methods in handlers.items():
            table = {
                name: grpc.unary_unary_rpc_method_handler(
                    method,
                    request_deserializer=kind.FromString,
                    response_serializer=lambda m: m.SerializeToString(),
                )
                for name, (method, kind) in methods.items()
            }
            self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, table),))
        self.port = self.port or free_port()
        assert self._server.add_insecure_port(f"127.0.0.1:{self.port}") == self.port
        self._server.start()
        return self

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop(None).wait()
            self._server = None

    def _check_version(self, spec: pb.ModelSpec, context: grpc.ServicerContext) -> None:
        if spec.name != "pizza-model" or spec.version.value != self.version:
            context.abort(
                grpc.StatusCode.NOT_FOUND,
                f"Servable not found for request: Specific({spec.name}, {spec.version.value})",
            )

    def _predict(self, request: pb.PredictRequest, context: grpc.ServicerContext) -> pb.PredictResponse:
        self._check_version(request.model_spec, context)
        documents = {"contract": self.contract, "golden": self.golden}
        name = request.model_spec.signature_name
        if name != "serving_default":
            document = documents.get(name)
            if document is None:
                context.abort(
                    grpc.StatusCode.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.'
                )
            shape = pb.TensorShapeProto(dim=[pb.TensorShapeProto.Dim(size=1)])
            text = pb.TensorProto(
                dtype=pb.DT_STRING, tensor_shape=shape, string_val=[json.dumps(document).encode()]
            )
            return pb.PredictResponse(outputs={"json": text})
        self.times.append(time.monotonic())
        self.requests.append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        if self.delay_seconds:
            time.sleep(self.delay_seconds)
        if self.fail_with is not None:
            context.abort(self.fail_with, self.fail_details)
        tensor = next(iter(request.inputs.values()))
        dtype = np.uint8 if tensor.dtype == pb.DT_UINT8 else np.float32
        pixels = np.frombuffer(tensor.tensor_content, dtype).reshape(
            [dim.size for dim in tensor.tensor_shape.dim]
        )
        refusal = self.refuse(pixels)
        if refusal is not None:
            context.abort(refusal, self.fail_details)
        values = np.asarray(self.answer(pixels), dtype=np.float32)
        output = (self.contract or {}).get("output", {}).get("tensor", "probabilities")
        return pb.PredictResponse(
            outputs={
                output: pb.TensorProto(
                    dtype=pb.DT_FLOAT,
                    tensor_shape=pb.TensorShapeProto(
                        dim=[pb.TensorShapeProto.Dim(size=n) for n in values.shape]
                    ),
                    float_val=values.ravel().tolist(),
                )
            }
        )

    def _status(
        self, request: pb.GetModelStatusRequest, context: grpc.ServicerContext
    ) -> pb.GetModelStatusResponse:
        self._check_version(request.model_spec, context)
        status = pb.ModelVersionStatus(version=self.version, state=self.state, status=pb.StatusProto())
        return pb.GetModelStatusResponse(model_version_status=[status])

    def _get_metadata(
        self, request: pb.GetModelMetadataRequest, context: grpc.ServicerContext
    ) -> pb.GetModelMetadataResponse:
        self._check_version(request.model_spec, context)
        described = self.contract or {}
        pixels, output = described.get("input", {}), described.get("output", {})
        floats = pixels.get("dtype", "uint8") == "float32"
        signature = pb.SignatureDef(
            inputs={
                pixels.get("tensor", "pixels"): pb.TensorInfo(
                    name="serving_default_pixels:0",
                    dtype=pb.DT_FLOAT if floats else pb.DT_UINT8,
                    tensor_shape=_shape(-1, pixels.get("height", -1), pixels.get("width", -1), 3),
                )
            },
            outputs={
                output.get("tensor", "probabilities"): pb.TensorInfo(
                    name="StatefulPartitionedCall:0",
                    dtype=pb.DT_FLOAT,
                    tensor_shape=pb.TensorShapeProto(unknown_rank=True),
                )
            },
            method_name="tensorflow/serving/predict",
        )
        response = pb.GetModelMetadataResponse(model_spec=request.model_spec)
        response.metadata["signature_def"].value = pb.SignatureDefMap(
            signature_def={"serving_default": signature}
        ).SerializeToString()
        return response


def write_atomically(path: Path, text: str) -> None:
    """Replaces a file in one step, as the kubelet does."""
    scratch = path.with_name(path.name + ".new")
    scratch.write_text(text)
    scratch.replace(path)


def picture(colour: str = "red", size: tuple[int, int] = (64, 48), kind: str = "JPEG") -> bytes:
    """A picture of one colour, encoded."""
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, kind)
    return buffer.getvalue()


def routing_document(
    model: str, targets: dict[int, str], *, contract: dict[str, Any] | None = None, serving: int = 1
) -> str:
    """A routing file that gives everything to one version of a model, wherever its servers are."""
    versions: list[dict[str, Any]] = [
        {"version": version, "target": target, "percent": 100 if version == serving else 0}
        for version, target in targets.items()
    ]
    if contract is not None:
        for version in versions:
            version["contract"] = contract
    return json.dumps({"schema": 1, "revision": 1, "model": model, "serving": serving, "versions": versions})


def routing(*models: FakeModel, percents: tuple[int, ...] = (100,), revision: int = 1, **more: Any) -> str:
    """A routing file for these models; the first one serves."""
    versions = [
        {"version": model.version, "target": model.target, "percent": percent}
        for model, percent in zip(models, percents, strict=True)
    ]
    document = {"schema": 1, "revision": revision, "model": "pizza-model", "serving": models[0].version}
    return json.dumps({**document, "versions": versions, **more})


def eventually(condition: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
    """Waits until a condition holds and returns its value; fails with a sentence when it never does."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.01)
    raise AssertionError(f"never happened: {what}")


@dataclass(frozen=True)
class Answer:
    """An HTTP answer, read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def request(
    port: int, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> Answer:
    """Sends one HTTP request to this machine on a new connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    finally:
        connection.close()


class GatewayProcess:
    """The gateway as it runs in a pod: `python -m imageclassifier_gateway`, with a routing file in a
    directory."""

    def __init__(self, directory: Path, **settings: str) -> None:
        self.routing_file = directory / "routing.json"
        self.port = free_port()
        self.internal_port = free_port()
        self._environment = {
            **os.environ,
            "GATEWAY_ROUTING_FILE": str(self.routing_file),
            "GATEWAY_PORT": str(self.port),
            "GATEWAY_INTERNAL_PORT": str(self.internal_port),
            "GATEWAY_DRAIN_SECONDS": "0.5",
            # Compiled once for all gateways of a run, as in their image, also where the shell forbids it.
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPYCACHEPREFIX": _BYTECODE.name,
            **settings,
        }
        #: The arguments of Python.
        self.program = ["-m", "imageclassifier_gateway"]
        self.log = directory / "gateway.log"
        #: A file descriptor for the log instead of that file.
        self.stdout: int | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> GatewayProcess:
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, *self.program],
                env=self._environment,
                stdout=log if self.stdout is None else self.stdout,
                stderr=log,
            )
        eventually(lambda: self.internal("/livez") == 200, "the gateway is alive", 180)
        return self

    def start_ready(self, routing: str) -> GatewayProcess:
        write_atomically(self.routing_file, routing)
        self.start()
        eventually(lambda: self.internal("/readyz") == 200, "the gateway is ready", 180)
        return self

    def internal(self, path: str) -> int | None:
        """The status of a path of the internal port; None while nobody listens."""
        try:
            return request(self.internal_port, "GET", path).status
        except OSError:
            return None

    def rollout(self) -> Any:
        return request(self.internal_port, "GET", "/rollout").json

    def metrics(self) -> str:
        return request(self.internal_port, "GET", "/metrics").body.decode()

    def predict(self, body: bytes, **headers: str) -> Answer:
        return request(self.port, "POST", "/predict", body, headers)

    def log_lines(self) -> list[dict[str, Any]]:
        """The lines that are written completely. The gateway writes them soon after its responses."""
        lines = self.log.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def access_line(self, request_id: str) -> dict[str, Any]:
        """The log line of a request, once it is written; all earlier lines are then written too."""

        def found() -> list[dict[str, Any]]:
            return [line for line in self.log_lines() if line.get("request_id") == request_id]

        lines: list[dict[str, Any]] = eventually(found, f"the request {request_id} is logged")
        [line] = lines
        return line

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def terminate(self) -> None:
        """Sends SIGTERM, as the kubelet does, and does not wait."""
        assert self._process is not None
        self._process.terminate()

    def wait(self) -> int:
        assert self._process is not None
        return self._process.wait(60)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
