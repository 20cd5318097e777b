"""The gRPC services of the server: PredictionService and ModelService.

TensorFlow Serving runs calls in a pool of at most `--grpc_max_threads` threads, of which one waits for the
next call. While all others are busy, it refuses a further call at once with RESOURCE_EXHAUSTED «Server
Threadpool Exhausted» (gRPC's thread_manager.cc and server_cc.cc). These services do the same: if they queued
the call instead, tests would miss requests that the real server loses. The health service does not count.
"""

import threading
import time
from collections.abc import Callable
from typing import Any, NoReturn

import grpc
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

from .core import ServerCore
from .inference import Call, Inference, Model
from .model_metadata import check_metadata_request, metadata
from .status import Code, StatusError, invalid_argument

_CODES = {code.value[0]: code for code in grpc.StatusCode}
_NO_DEADLINE_SECONDS = 10.0 * 365 * 24 * 3600  # gRPC reports a call without a deadline as centuries away


class Slots:
    """Counts the running calls, and refuses those above the limit."""

    def __init__(self, limit: int) -> None:
        self._free = threading.Semaphore(limit)

    def __enter__(self) -> None:
        if not self._free.acquire(blocking=False):
            raise StatusError(Code.RESOURCE_EXHAUSTED, "Server Threadpool Exhausted")

    def __exit__(self, *_: object) -> None:
        self._free.release()


def _abort(context: grpc.ServicerContext, error: StatusError) -> NoReturn:
    context.abort(_CODES[int(error.code)], error.message)
    raise AssertionError("context.abort returned")


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):  # type: ignore[misc]
    """Inference on the models of a core."""

    def __init__(self, core: ServerCore[Model], inference: Inference, slots: Slots) -> None:
        self._core = core
        self._inference = inference
        self._slots = slots

    def Predict(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Run a signature of a model."""
        return self._infer("Predict", self._inference.predict, request, context)

    def Classify(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Classify tf.Examples."""
        return self._infer("Classify", self._inference.classify, request, context)

    def Regress(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Compute a number for each tf.Example."""
        return self._infer("Regress", self._inference.regress, request, context)

    def MultiInference(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Return UNIMPLEMENTED."""
        _abort(
            context,
            StatusError(Code.UNIMPLEMENTED, "This stand-in for TensorFlow Serving lacks MultiInference."),
        )

    def GetModelMetadata(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Return the signatures of a version."""
        try:
            with self._slots:
                if not request.HasField("model_spec"):
                    raise invalid_argument("Missing ModelSpec")
                check_metadata_request(request)
                with self._core.use(request.model_spec) as (version, model):
                    return metadata(model, request, version)
        except StatusError as error:
            _abort(context, error)

    def _infer(
        self,
        api: str,
        method: Callable[[Model, Any, Call], Any],
        request: Any,
        context: grpc.ServicerContext,
    ) -> Any:
        start = time.perf_counter()
        metrics = self._inference.metrics
        model_name = request.model_spec.name
        try:
            with self._slots:
                if not request.HasField("model_spec"):
                    raise invalid_argument("Missing ModelSpec")
                with self._core.use(request.model_spec) as (version, model):
                    response = method(model, request, Call(version, _remaining_seconds(context)))
        except StatusError as error:
            metrics.request_count.add(model_name, error.code.name)
            _abort(context, error)
        metrics.request_count.add(model_name, Code.OK.name)
        metrics.request_latency.add((time.perf_counter() - start) * 1e6, model_name, api, "GRPC")
        return response


def _remaining_seconds(context: grpc.ServicerContext) -> float | None:
    remaining = context.time_remaining()
    return None if remaining is None or remaining > _NO_DEADLINE_SECONDS else float(remaining)


def model_status(core: ServerCore[Model], request: Any) -> Any:
    """GetModelStatusRequest -> GetModelStatusResponse. Raises StatusError (INVALID_ARGUMENT, NOT_FOUND)."""
    if not request.HasField("model_spec"):
        raise invalid_argument("Missing ModelSpec")
    name = request.model_spec.name
    statuses = core.manager.states.statuses(name)
    if request.model_spec.HasField("version"):
        version = request.model_spec.version.value
        if version not in statuses:
            raise StatusError(Code.NOT_FOUND, f"Could not find version {version} of model {name}")
        statuses = {version: statuses[version]}
    if not statuses:
        raise StatusError(Code.NOT_FOUND, f"Could not find any versions of model {name}")
    response = get_model_status_pb2.GetModelStatusResponse()
    for version, known in statuses.items():
        status = response.model_version_status.add(version=version, state=int(known.state))
        status.status.error_code = int(known.error.code) if known.error else 0
        status.status.error_message = known.error.message if known.error else ""
    return response


class ModelService(model_service_pb2_grpc.ModelServiceServicer):  # type: ignore[misc]
    """The state and the configuration of the models of a core."""

    def __init__(self, core: ServerCore[Model], slots: Slots) -> None:
        self._core = core
        self._slots = slots

    def GetModelStatus(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Return the states of the versions of a model."""
        try:
            with self._slots:
                return model_status(self._core, request)
        except StatusError as error:
            _abort(context, error)

    def HandleReloadConfigRequest(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Apply a new configuration, and return when its new models serve."""
        try:
            with self._slots:
                if request.config.WhichOneof("config") != "model_config_list":
                    raise invalid_argument(
                        "ServerModelConfig type not supported by HandleReloadConfigRequest. Only "
                        "ModelConfigList is currently supported"
                    )
                self._core.reload_config(request.config)
        except StatusError as error:
            _abort(context, error)
        return model_management_pb2.ReloadConfigResponse()
