"""A client of TensorFlow Serving's gRPC API for one version of a model, balanced over the pods of a target.

It uses slim stubs (`generate_stubs.py`), because importing TensorFlow for its protobufs takes 2 s and 640 MB.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import grpc
import numpy as np
from google.protobuf import wrappers_pb2
from numpy.typing import NDArray

from ..contract import IGNORED_TENSOR, JSON_TENSOR
from ..limits.line import Line
from ..pixels.tensors import BFLOAT16
from . import tfserving_pb2 as pb
from .model_server_errors import (
    MissingSignatureError,
    ModelDisconnectedError,
    ModelOverloadedError,
    ModelServerError,
    ModelUnavailableError,
    error_class,
)

Values = NDArray[Any]

_PREDICTION_SERVICE = "/tensorflow.serving.PredictionService/"
_MODEL_SERVICE = "/tensorflow.serving.ModelService/"

_CHANNEL_OPTIONS = [
    # A headless Service resolves to all pods, and the calls alternate between them.
    ("grpc.lb_policy_name", "round_robin"),
    # New and deleted pods must be noticed within a second (gRPC's default is 30 s).
    ("grpc.dns_min_time_between_resolutions_ms", 500),
    # Otherwise each resolution also queries a TXT record that never exists.
    ("grpc.service_config_disable_resolution", 1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # Servers answer pings more often than every 300 s with GOAWAY "too many pings".
    ("grpc.keepalive_time_ms", 310_000),
    # Also sets TCP_USER_TIMEOUT (gRPC proposal A18): a call to a node that has failed ends after 3 s, not 20
    # s.
    ("grpc.keepalive_timeout_ms", 3_000),
    ("grpc.max_send_message_length", -1),
    # A response is a few floats for each picture, or the contract, or the golden pictures.
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
    # Channels of the same target must not share connections, because each version closes its own.
    ("grpc.use_local_subchannel_pool", 1),
]

#: How long a retry may wait for a connection to another pod. It is enough for name resolution and connecting.
_RECONNECT_SECONDS = 2.5
#: The longest pause before a retry if the server had no free thread or no place in its queue.
_OVERLOADED_SECONDS = 0.2

#: The share of its time that a call waits at most for its turn.
_PATIENCE = 0.2

#: The status of calls that TensorFlow Serving refuses before it starts with them.
_RETRYABLE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)

#: The messages for failures whose gRPC details add nothing.
_SENTENCES = {
    "model-timeout": "The model did not answer in time",
    "overloaded": "The model server is overloaded",
    "model-unavailable": "The model server cannot be reached",
}

_FROM_NUMPY: dict[Any, pb.DataType] = {
    np.dtype(np.uint8): pb.DT_UINT8,
    np.dtype(np.int32): pb.DT_INT32,
    np.dtype(np.float16): pb.DT_HALF,
    BFLOAT16: pb.DT_BFLOAT16,
    np.dtype(np.float32): pb.DT_FLOAT,
    np.dtype(np.float64): pb.DT_DOUBLE,
    np.dtype(np.object_): pb.DT_STRING,
}
_TO_NUMPY: dict[int, Any] = {
    pb.DT_FLOAT: np.dtype("<f4"),
    pb.DT_DOUBLE: np.dtype("<f8"),
    pb.DT_HALF: np.dtype("<f2"),
    pb.DT_BFLOAT16: np.dtype("<u2"),  # its bits
}


class ModelServer:
    """A connection to the pods of one version of a model. Thread-safe."""

    def __init__(self, target: str, model: str, version: int, line: Line | None = None) -> None:
        """`line`: the calls of Predict wait in it; None: they do not wait."""
        self.target = target
        self._line = line
        self._spec = pb.ModelSpec(name=model, version=wrappers_pb2.Int64Value(value=version))
        self._name = f"version {version} of {model}"
        self._channel = grpc.insecure_channel(target, options=_CHANNEL_OPTIONS)
        self._predict = self._channel.unary_unary(
            _PREDICTION_SERVICE + "Predict",
            request_serializer=pb.PredictRequest.SerializeToString,
            response_deserializer=pb.PredictResponse.FromString,
        )
        self._metadata = self._channel.unary_unary(
            _PREDICTION_SERVICE + "GetModelMetadata",
            request_serializer=pb.GetModelMetadataRequest.SerializeToString,
            response_deserializer=pb.GetModelMetadataResponse.FromString,
        )
        self._status = self._channel.unary_unary(
            _MODEL_SERVICE + "GetModelStatus",
            request_serializer=pb.GetModelStatusRequest.SerializeToString,
            response_deserializer=pb.GetModelStatusResponse.FromString,
        )

    def close(self) -> None:
        """Close the connections."""
        self._channel.close()

    def predict(
        self,
        signature: str,
        inputs: Mapping[str, Values],
        outputs: Sequence[str],
        *,
        timeout_seconds: float,
        retry: bool = False,
        metadata: tuple[tuple[str, str], ...] = (),
    ) -> list[pb.TensorProto]:
        """Call Predict with a tensor for each input, and return the tensors named `outputs`.

        With `retry`, a call is retried once if the pod is unavailable or overloaded, on another pod if there
        is one (Predict has no side effects). Raises ModelUnavailableError, ModelTimeoutError or
        ModelServerError.
        """
        request = _request(self._spec, signature, inputs)
        deadline = time.monotonic() + timeout_seconds
        try:
            with self._turn(timeout_seconds):
                remaining = max(deadline - time.monotonic(), 0.001)
                response = self._call(self._predict, request, timeout=remaining, metadata=metadata)
        except grpc.RpcError as error:
            failure = self._error(error)
            if not retry or error.code() not in _RETRYABLE:
                raise failure from None
            if isinstance(failure, ModelOverloadedError):
                time.sleep(random.uniform(0.25, 1.0) * _OVERLOADED_SECONDS)  # noqa: S311 - jitter is no secret
            response = self._predict_again(request, deadline - time.monotonic(), metadata)
        return [self._output(response, each) for each in outputs]

    def _turn(self, timeout_seconds: float) -> AbstractContextManager[None]:
        return nullcontext() if self._line is None else self._line.turn(_PATIENCE * timeout_seconds)

    def _output(self, response: pb.PredictResponse, output: str) -> pb.TensorProto:
        if output not in response.outputs:
            names = ", ".join(sorted(response.outputs)) or "nothing"
            raise ModelServerError(
                f"The model returned {names} instead of the output '{output}' ({self._name})."
            )
        answer: pb.TensorProto = response.outputs[output]
        return answer

    def _predict_again(
        self, request: pb.PredictRequest, remaining_seconds: float, metadata: tuple[tuple[str, str], ...]
    ) -> pb.PredictResponse:
        timeout = min(remaining_seconds, _RECONNECT_SECONDS) if remaining_seconds > 0 else 0.001
        try:
            # Wait for a connection: the pods may just have been replaced, and their new addresses not be
            # known.
            response: pb.PredictResponse = self._call(
                self._predict, request, timeout=timeout, metadata=metadata, wait_for_ready=True
            )
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED and timeout < remaining_seconds:
                raise ModelUnavailableError(f"No connection to the model server ({self._name}).") from None
            raise self._error(error) from None
        return response

    def text(self, signature: str, *, timeout_seconds: float, model: str | None = None) -> str:
        """The text that the signature `contract`, `golden` or `classes` returns. Raises as `predict` does.

        `model`: another model of the same server and version, which has the signature.
        """
        request = _request(self._spec, signature, {IGNORED_TENSOR: np.zeros(1, dtype=np.int32)})
        if model is not None:
            request.model_spec.name = model
        try:
            answer = self._output(self._call(self._predict, request, timeout=timeout_seconds), JSON_TENSOR)
        except grpc.RpcError as failed:
            error = self._error(failed)
            # TensorFlow Serving (predict_util.cc): `Serving signature key "contract" not found.`
            if "Serving signature key" in str(error):
                raise MissingSignatureError(
                    f"The model has no signature '{signature}', so it does not describe itself. List its "
                    "classes in spec.classes or spec.classesFrom, and the gateway reads the rest; or let "
                    f"`imageclassifier-training adopt` describe it ({self._name})."
                ) from None
            raise error from None
        if not answer.string_val:
            raise ModelServerError(f"The signature '{signature}' returned no string ({self._name}).")
        try:
            return answer.string_val[0].decode("utf-8")
        except UnicodeDecodeError:
            raise ModelServerError(
                f"The signature '{signature}' returned no UTF-8 text ({self._name})."
            ) from None

    def status(self, *, timeout_seconds: float) -> pb.ModelVersionStatus:
        """The version's state as the server reports it. Raises as `predict` does."""
        try:
            request = pb.GetModelStatusRequest(model_spec=self._spec)
            response = self._call(self._status, request, timeout=timeout_seconds)
        except grpc.RpcError as error:
            raise self._error(error) from None
        if not response.model_version_status:
            raise ModelServerError(f"The model server does not know {self._name}.")
        status: pb.ModelVersionStatus = response.model_version_status[0]
        return status

    def signatures(self, *, timeout_seconds: float) -> pb.SignatureDefMap:
        """The model's signatures. Raises as `predict` does."""
        request = pb.GetModelMetadataRequest(model_spec=self._spec, metadata_field=["signature_def"])
        try:
            response = self._call(self._metadata, request, timeout=timeout_seconds)
        except grpc.RpcError as error:
            raise self._error(error) from None
        return pb.SignatureDefMap.FromString(response.metadata["signature_def"].value)

    def _call(self, method: Any, request: Any, **options: Any) -> Any:
        try:
            return method(request, **options)
        except ValueError as error:
            # gRPC raises it if the channel is closed: the version has left the routing file.
            raise ModelDisconnectedError(
                f"The connection to the model server was closed ({self._name}): {error}"
            ) from None

    def _error(self, error: grpc.RpcError) -> ModelServerError:
        code, details = error.code(), (error.details() or "").strip()
        kind = error_class(code, details)
        sentence = _SENTENCES.get(kind.cause)
        if sentence is None:
            return kind(f"The model server returned {code.name}: {details[:300]} ({self._name}).")
        return kind(f"{sentence} ({self._name}).")


def _request(spec: pb.ModelSpec, signature: str, inputs: Mapping[str, Values]) -> pb.PredictRequest:
    request = pb.PredictRequest(model_spec=spec)
    request.model_spec.signature_name = signature
    for name, values in inputs.items():
        put(values, request.inputs[name])  # in place, because protobuf would copy a tensor
    return request


def put(values: Values, tensor: pb.TensorProto) -> None:
    """Put values into a tensor. Numbers are raw bytes, which take a quarter of the size of float lists."""
    tensor.dtype = _FROM_NUMPY[values.dtype]
    for size in values.shape:
        tensor.tensor_shape.dim.add(size=size)
    if tensor.dtype == pb.DT_STRING:
        tensor.string_val.extend(values.ravel().tolist())
    else:
        tensor.tensor_content = values.tobytes()


def array(values: pb.TensorProto) -> NDArray[Any]:
    """The floating-point values of a tensor, in its shape.

    Raises ModelServerError if it has other values, or not as many as its shape needs.
    """
    shape = tuple(dim.size for dim in values.tensor_shape.dim)
    if values.dtype not in _TO_NUMPY:
        raise ModelServerError(
            f"The model returned {pb.DataType.Name(values.dtype)}; it must return DT_FLOAT."
        )
    dtype = _TO_NUMPY[values.dtype]
    if values.tensor_content:
        flat = np.frombuffer(values.tensor_content, dtype=dtype)
    elif values.half_val:  # bits, also of bfloat16
        flat = np.array(values.half_val, dtype=np.uint16).view(dtype)
    elif values.float_val:
        flat = np.array(values.float_val, dtype=np.float32)
    else:
        flat = np.array(values.double_val, dtype=np.float64)
    if values.dtype == pb.DT_BFLOAT16:
        flat = (flat.astype(np.uint32) << np.uint32(16)).view(np.float32)
    if flat.size != math.prod(shape):
        raise ModelServerError(f"The model returned {flat.size} values for the shape {shape}.")
    return flat.reshape(shape)
