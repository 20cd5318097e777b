"""`tensorflow_model_server`: parse the flags, load the models, then open the ports."""

import logging
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from .flags import FlagError, Options, cores, parse, usage
from .lean_import import leave_out_public_api

if TYPE_CHECKING:
    import grpc

logger = logging.getLogger("model_server")

_NOTICE = "This is a stand-in for TensorFlow Serving, for development; it is not TensorFlow Serving."
_FAILED = 255  # main.cc returns -1


def _check(options: Options) -> None:
    from .status import invalid_argument

    if not options.port and not options.grpc_socket_path:
        raise invalid_argument(
            "At least one of server_options.grpc_port or server_options.grpc_socket_path must be set."
        )
    if not options.model_base_path and not options.model_config_file:
        raise invalid_argument(
            "Both server_options.model_base_path and server_options.model_config_file are empty!"
        )


def build_and_start(options: Options) -> "grpc.Server":
    """Load the models of the flags, then open the gRPC and the REST port. Raises StatusError."""
    # Imported here, so that a wrong flag is reported before the slow import of TensorFlow.
    from .core import ServerCore, every
    from .grpc_server import start_grpc_server
    from .inference import Inference
    from .loader import ModelLoader
    from .manager import Manager
    from .metrics import Metrics
    from .model_config import read_model_server_config, single_model_config
    from .rest import RestApi, start_rest_server
    from .text_config import read_prometheus_path

    _check(options)
    inference = Inference(
        Metrics(), options.enable_signature_method_name_check, options.enable_serialization_as_tensor_content
    )
    manager = Manager(
        ModelLoader(options, inference),
        load_pool=ThreadPoolExecutor(4 * cores(), thread_name_prefix="load"),
        unload_pool=ThreadPoolExecutor(max(1, options.num_unload_threads), thread_name_prefix="unload"),
        max_num_load_retries=options.max_num_load_retries,
        load_retry_interval_seconds=options.load_retry_interval_micros / 1e6,
    )
    core = ServerCore(
        manager,
        options.file_system_poll_wait_seconds,
        options.allow_version_labels_for_unavailable_models,
    )
    metrics_path = read_prometheus_path(options.monitoring_config_file)
    if options.model_config_file:
        core.reload_config(read_model_server_config(options.model_config_file))
    else:
        core.reload_config(single_model_config(options.model_name, options.model_base_path))
    manager.use_load_pool(ThreadPoolExecutor(max(1, options.num_load_threads), thread_name_prefix="load"))
    if options.model_config_file and options.model_config_file_poll_wait_seconds > 0:
        every(
            options.model_config_file_poll_wait_seconds,
            "model-config-poll",
            lambda: core.reload_config_file(options.model_config_file),
        )
    address = os.environ.get("MODEL_SERVER_BIND_ADDRESS", "0.0.0.0")  # noqa: S104  as TensorFlow Serving
    server = start_grpc_server(options, address, core, inference)
    if options.port:
        logger.info("Running gRPC ModelServer at %s:%d ...", address, options.port)
    if options.grpc_socket_path:
        logger.info("Running gRPC ModelServer at UNIX socket %s ...", options.grpc_socket_path)
    if options.rest_api_port == options.port and options.rest_api_port:
        logger.error(
            "server_options.http_port cannot be same as grpc_port. Please use a different port for "
            "HTTP/REST API. Skipped exporting HTTP/REST API."
        )
    elif options.rest_api_port:
        try:
            start_rest_server(options.rest_api_port, address, RestApi(options, core, inference, metrics_path))
            logger.info("Exporting HTTP/REST API at:%s:%d ...", address, options.rest_api_port)
        except OSError as error:
            logger.error(  # noqa: TRY400 - TensorFlow Serving continues with gRPC alone
                "Failed to start HTTP Server at %s:%d: %s", address, options.rest_api_port, error
            )
    return server


def main() -> int:
    """Serve until killed. Returns the exit code when the server cannot start."""
    logging.basicConfig(
        format="%(asctime)s.%(msecs)03d: %(levelname).1s %(name)s] %(message)s",
        datefmt="%Y-%m-%d %H:%M:%S",
        level=logging.INFO,
    )
    if "--help" in sys.argv[1:]:
        print(usage("tensorflow_model_server"), end="")
        return 0
    try:
        options, notes = parse(sys.argv[1:])
    except FlagError as error:
        print(f"{error}\n{usage('tensorflow_model_server')}", end="", file=sys.stderr)
        return _FAILED
    # TensorFlow Serving has no handler for SIGTERM, so the kernel drops the signal when it is PID 1 of a
    # container, and it serves until it is killed. This server does the same everywhere. SIGINT keeps its
    # default, for Ctrl-C.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")  # hides the list of CPU features
    leave_out_public_api()
    if options.version:
        from .runtime import TENSORFLOW_VERSION

        print(f"TensorFlow ModelServer: stand-in. {_NOTICE}\nTensorFlow Library: {TENSORFLOW_VERSION}")
        return 0
    logger.warning(_NOTICE)
    for note in notes:
        logger.warning(note)
    from .status import StatusError

    try:
        server = build_and_start(options)
    except StatusError as error:
        print(f"Failed to start server. Error: {error}", file=sys.stderr, flush=True)
        os._exit(_FAILED)  # threads may still be loading other models
    server.wait_for_termination()
    return 0


if __name__ == "__main__":
    sys.exit(main())
