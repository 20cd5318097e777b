"""The gRPC server: PredictionService, ModelService and the health service.

TensorFlow Serving answers in a pool of at most `--grpc_max_threads` threads, of which one waits for the next
call: when all others are busy, a further call is refused at once with RESOURCE_EXHAUSTED «Server Threadpool
Exhausted» (gRPC's thread_manager.cc and server_cc.cc). That is kept here, because a stand-in that queued
instead would hide requests which the real server loses. The health service does not count.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

from .core import ServerCore
from .flags import Options
from .inference import Call, Inference, Model, check_metadata_request, metadata
from .status import Code, StatusError, invalid_argument
from .text_config import read_ssl

_CODES = {code.value[0]: code for code in grpc.StatusCode}
_HEALTH_THREADS = 2  # also for responses that are still being written
_INT32 = 2**31
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
    statuses = core.manager.statuses(name)
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


def channel_arguments(text: str) -> list[tuple[str, int | str]]:
    """Read --grpc_channel_arguments; what looks like an int32 is passed on as one.

    >>> channel_arguments("grpc.max_connection_age_ms=2000")
    [('grpc.max_connection_age_ms', 2000)]
    """
    arguments: list[tuple[str, int | str]] = []
    for part in filter(None, text.split(",")):
        key, equals, value = part.partition("=")
        if not equals:
            raise invalid_argument(f"--grpc_channel_arguments: {part} is not of the form key=value")
        try:
            number = int(value)
        except ValueError:
            arguments.append((key, value))
        else:
            arguments.append((key, number if -_INT32 <= number < _INT32 else value))
    return arguments


def _credentials(path: str) -> grpc.ServerCredentials:
    config = read_ssl(path)
    return grpc.ssl_server_credentials(
        [(config.server_key.encode(), config.server_cert.encode())],
        root_certificates=config.custom_ca.encode() or None,
        require_client_auth=config.client_verify,
    )


def start_grpc_server(
    options: Options, address: str, core: ServerCore[Model], inference: Inference
) -> grpc.Server:
    """Open the gRPC port (and socket) of the flags; raises StatusError when that cannot be done."""
    slots = Slots(max(1, options.grpc_max_threads - 1))
    server = grpc.server(
        ThreadPoolExecutor(options.grpc_max_threads + _HEALTH_THREADS, thread_name_prefix="grpc"),
        options=[
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),  # without this, a port in use would be shared
            *channel_arguments(options.grpc_channel_arguments),
        ],
    )
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        PredictionService(core, inference, slots), server
    )
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(core, slots), server)
    if options.enable_grpc_healthcheck_service:
        health_service = health.HealthServicer()
        for name in ("", "ModelService", "PredictionService"):
            health_service.set(name, health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(health_service, server)
    addresses = [f"{address}:{options.port}"] if options.port else []
    if options.grpc_socket_path:
        addresses.append(f"unix:{options.grpc_socket_path}")
    for bound in addresses:
        try:
            if options.ssl_config_file:
                server.add_secure_port(bound, _credentials(options.ssl_config_file))
            else:
                server.add_insecure_port(bound)
        except RuntimeError as error:
            raise invalid_argument(f"Failed to BuildAndStart gRPC server: {error}") from error
    server.start()
    return server
