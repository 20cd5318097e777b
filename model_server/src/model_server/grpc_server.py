"""The gRPC server: opens its port and socket, with TLS and the channel arguments of the flags."""

from concurrent.futures import ThreadPoolExecutor

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tensorflow_serving.apis import (
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

from .core import ServerCore
from .flags import Options
from .grpc_services import ModelService, PredictionService, Slots
from .inference import Inference, Model
from .status import invalid_argument
from .text_config import read_ssl

_HEALTH_THREADS = 2  # also for responses that are still being written
_INT32 = 2**31


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
