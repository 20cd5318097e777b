"""The configuration of TensorFlow Serving for one version: flags and configuration files."""

import json
import math

from imageclassifier_operator.api import ImageSource, ModelVersion, VolumeSource, names
from imageclassifier_operator.api.quantity import cores
from imageclassifier_operator.api.serving import MAX_CALLS, Batching

CONFIG_DIRECTORY = "/etc/model-server"
MODEL_ROOT = "/models"
CLASSES_ROOT = "/model-classes"
"""Contains the version directories of the model that returns a class file."""

MAX_CONNECTION_AGE_SECONDS = 10
"""How often the server asks its clients to reconnect, and so to resolve its name again. gRPC adds up to 10 %
of jitter.
"""
MAX_PICTURES_PER_CALL = 8
"""The most pictures that a gateway sends in one call, and that an exported model is warmed up with."""


def config_files(served: ModelVersion) -> dict[str, str]:
    """Pod annotations that are mounted as the server's configuration files, both in protobuf text."""
    configs = [_model_config(served, served.model_name, base_path(served))]
    if served.class_file is not None:
        configs.append(_model_config(served, served.class_file["servable"], CLASSES_ROOT))
    files = {names.ANNOTATION_MODEL_CONFIG: f"model_config_list {{ {' '.join(configs)} }}\n"}
    if served.serving.batching is not None:
        cpu_limit = served.serving.resources.get("limits", {}).get("cpu")
        files[names.ANNOTATION_BATCHING_CONFIG] = batching_config(served.serving.batching, cpu_limit)
    return files


def _model_config(served: ModelVersion, name: str, path: str) -> str:
    return (
        f"config {{ name: {json.dumps(name)} base_path: {json.dumps(path)} "
        'model_platform: "tensorflow" '
        f"model_version_policy {{ specific {{ versions: {served.version} }} }} }}"
    )


def batching_config(batching: Batching, cpu_limit: str | None) -> str:
    """TensorFlow Serving's BatchingParameters as protobuf text.

    TensorFlow Serving refuses a call with more pictures than `max_batch_size`, and fails to load a model
    whose warm-up has such a call. So a run may be smaller than MAX_PICTURES_PER_CALL, but a call may not: the
    server then splits it. The queue always has room for the parts of one call.
    """
    run = batching.max_batch_size
    splitting, batches = "", batching.max_enqueued_batches
    if run < MAX_PICTURES_PER_CALL:
        splitting = (
            f" enable_large_batch_splitting {{ value: true }} max_execution_batch_size {{ value: {run} }}"
        )
        batches = max(batches, math.ceil(MAX_PICTURES_PER_CALL / run))
    # Without a limit the server starts one thread for each core of the node.
    threads = "" if cpu_limit is None else f"num_batch_threads {{ value: {math.ceil(cores(cpu_limit))} }} "
    return (
        f"max_batch_size {{ value: {max(run, MAX_PICTURES_PER_CALL)} }} "
        f"batch_timeout_micros {{ value: {batching.timeout_microseconds} }} "
        f"{threads}"
        f"max_enqueued_batches {{ value: {batches} }}{splitting}\n"
    )


def base_path(served: ModelVersion) -> str:
    """The directory in the pod that contains the version directories."""
    if isinstance(served.source, VolumeSource):
        return f"{MODEL_ROOT}/{served.source.path}".rstrip("/")
    if isinstance(served.source, ImageSource) and served.source.mounted:
        return f"{MODEL_ROOT}{MODEL_ROOT}/{served.model_name}"  # the top of the image is at MODEL_ROOT
    return f"{MODEL_ROOT}/{served.model_name}"


def server_flags(served: ModelVersion, timeout_seconds: int) -> list[str]:
    """The command line flags of tensorflow_model_server."""
    age_ms = MAX_CONNECTION_AGE_SECONDS * 1000
    result = [
        f"--port={names.MODEL_GRPC_PORT}",
        f"--model_config_file={CONFIG_DIRECTORY}/models.config",
        # The model is there from the start: look for it once, and fail at once if it cannot be loaded.
        "--file_system_poll_wait_seconds=0",
        "--max_num_load_retries=0",
        "--enable_grpc_healthcheck_service=true",
        f"--grpc_max_threads={MAX_CALLS + 1}",
        "--grpc_channel_arguments="
        f"grpc.max_connection_age_ms={age_ms},grpc.max_connection_age_grace_ms={timeout_seconds * 1000}",
    ]
    if served.serving.batching is not None:
        result += [
            "--enable_batching=true",
            f"--batching_parameters_file={CONFIG_DIRECTORY}/batching.config",
        ]
    if "cpu" in served.serving.resources.get("limits", {}):
        # TensorFlow sizes its thread pools by the node's cores, for which a smaller pod would be throttled.
        result += [
            "--tensorflow_intra_op_parallelism=$(CPU_LIMIT)",
            "--tensorflow_inter_op_parallelism=$(CPU_LIMIT)",
        ]
    return result
