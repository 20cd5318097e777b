"""A model server for tests: a gRPC server with TensorFlow Serving's API, whose responses a test decides."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent import futures
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np
from free_ports import free_port

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


def redness(pixels: np.ndarray) -> np.ndarray:
    """The fixed model of these tests: the redder a picture, the more it is a pizza."""
    mean = pixels.reshape(len(pixels), -1, 3).mean(axis=1)
    pizza = np.clip(mean[:, 0] / np.maximum(mean.sum(axis=1), 1.0), 0.0, 1.0)
    return np.stack([1.0 - pizza, pizza], axis=1).astype(np.float32)


def _shape(*sizes: int) -> pb.TensorShapeProto:
    return pb.TensorShapeProto(dim=[pb.TensorShapeProto.Dim(size=size) for size in sizes])


def _floats(values: np.ndarray) -> pb.TensorProto:
    return pb.TensorProto(
        dtype=pb.DT_FLOAT, tensor_shape=_shape(*values.shape), float_val=values.ravel().tolist()
    )


@dataclass
class FakeModel:
    """One version of a model behind TensorFlow Serving's gRPC API. Tests change its attributes while it
    runs."""

    version: int = 1
    contract: dict[str, Any] | None = field(default_factory=lambda: dict(CONTRACT))
    answer: Callable[[np.ndarray], np.ndarray] = redness
    #: Gives the distance of each picture, for a contract with `familiarity`.
    distance: Callable[[np.ndarray], np.ndarray] | None = None
    #: Gives the maps of the signature `explain`, for a contract with `explain`.
    maps: Callable[[np.ndarray], np.ndarray] | None = None
    fail_with: grpc.StatusCode | None = None
    fail_details: str = "as the test wants it"
    #: Gives the status with which the pixels of a request are refused, or None.
    refuse: Callable[[np.ndarray], grpc.StatusCode | None] = lambda pixels: None
    delay_seconds: float = 0.0
    state: pb.ModelVersionStatus.State = pb.ModelVersionStatus.AVAILABLE
    golden: dict[str, Any] | None = None
    #: Whether the signature has the shape of its input. Some exporters leave it out.
    has_input_shape: bool = True
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
        explains = name == "explain" and self.maps is not None
        if name != "serving_default" and not explains:
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
        outputs = {output: _floats(values)}
        if self.distance is not None:
            outputs["distance"] = _floats(np.asarray(self.distance(pixels), dtype=np.float32))
        if explains and self.maps is not None:
            outputs["maps"] = _floats(np.asarray(self.maps(pixels), dtype=np.float32))
        return pb.PredictResponse(outputs=outputs)

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
        shape = _shape(-1, pixels.get("height", -1), pixels.get("width", -1), 3)
        signature = pb.SignatureDef(
            inputs={
                pixels.get("tensor", "pixels"): pb.TensorInfo(
                    name="serving_default_pixels:0",
                    dtype=pb.DT_FLOAT if floats else pb.DT_UINT8,
                    tensor_shape=shape if self.has_input_shape else pb.TensorShapeProto(unknown_rank=True),
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
