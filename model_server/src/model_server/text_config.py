"""Reads the text protobuf files that flags name: models, batching, monitoring, TLS.

`ModelServerConfig` comes from tensorflow-serving-api. That package leaves out the three other messages, so
their descriptors are made here, with the field names and numbers of TensorFlow Serving's .proto files.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2
from google.protobuf.message import Message
from tensorflow_serving.config import model_server_config_pb2

from .flags import cores
from .status import invalid_argument
from .version_policy import All, Latest, Specific, VersionPolicy

TENSORFLOW_PLATFORM = "tensorflow"
_TENSORFLOW_MODEL_TYPE = 1  # the deprecated ModelType.TENSORFLOW

_Field = descriptor_pb2.FieldDescriptorProto
_MESSAGES: dict[str, list[tuple[str, int, Any, str]]] = {
    "BatchingParameters": [
        ("max_batch_size", 1, _Field.TYPE_MESSAGE, ".google.protobuf.Int64Value"),
        ("batch_timeout_micros", 2, _Field.TYPE_MESSAGE, ".google.protobuf.Int64Value"),
        ("max_enqueued_batches", 3, _Field.TYPE_MESSAGE, ".google.protobuf.Int64Value"),
        ("num_batch_threads", 4, _Field.TYPE_MESSAGE, ".google.protobuf.Int64Value"),
        ("thread_pool_name", 5, _Field.TYPE_MESSAGE, ".google.protobuf.StringValue"),
        ("allowed_batch_sizes", 6, _Field.TYPE_INT64, "repeated"),
        ("pad_variable_length_inputs", 7, _Field.TYPE_BOOL, ""),
        ("enable_large_batch_splitting", 8, _Field.TYPE_MESSAGE, ".google.protobuf.BoolValue"),
        ("max_execution_batch_size", 9, _Field.TYPE_MESSAGE, ".google.protobuf.Int64Value"),
    ],
    "PrometheusConfig": [("enable", 1, _Field.TYPE_BOOL, ""), ("path", 2, _Field.TYPE_STRING, "")],
    "MonitoringConfig": [
        ("prometheus_config", 1, _Field.TYPE_MESSAGE, ".tensorflow.serving.PrometheusConfig")
    ],
    "SSLConfig": [
        ("server_key", 1, _Field.TYPE_STRING, ""),
        ("server_cert", 2, _Field.TYPE_STRING, ""),
        ("custom_ca", 3, _Field.TYPE_STRING, ""),
        ("client_verify", 4, _Field.TYPE_BOOL, ""),
    ],
}


def _message_classes() -> dict[str, type[Message]]:
    file = descriptor_pb2.FileDescriptorProto(
        name="model_server/text_config.proto",
        package="tensorflow.serving",
        syntax="proto3",
        dependency=[wrappers_pb2.DESCRIPTOR.name],
    )
    for message_name, fields in _MESSAGES.items():
        message = file.message_type.add(name=message_name)
        for name, number, kind, more in fields:
            label = _Field.LABEL_REPEATED if more == "repeated" else _Field.LABEL_OPTIONAL
            message.field.add(
                name=name,
                number=number,
                type=kind,
                label=label,
                type_name=more if kind == _Field.TYPE_MESSAGE else None,
            )
    pool = descriptor_pool.DescriptorPool()  # not the default pool: it may learn the real messages one day
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"tensorflow.serving.{name}"))
        for name in _MESSAGES
    }


_CLASSES = _message_classes()


def read_text_proto(path: str, message: Any) -> Any:
    """Fill `message` from a text protobuf file and return it.

    Raises StatusError (INVALID_ARGUMENT) with the file's name when it cannot be read or parsed.
    """
    try:
        return text_format.Parse(Path(path).read_text(encoding="utf-8"), message)
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise invalid_argument(f"Invalid protobuf file: '{path}' ({error})") from error


@dataclass(frozen=True)
class Batching:
    """BatchingParameters with the defaults of TensorFlow's SharedBatchScheduler; sizes are rows."""

    max_batch_size: int = 1000
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 10
    num_batch_threads: int = 1
    thread_pool_name: str = "batch_threads"
    allowed_batch_sizes: tuple[int, ...] = ()
    pad_variable_length_inputs: bool = False
    enable_large_batch_splitting: bool = False
    max_execution_batch_size: int = 1000


def read_batching(path: str) -> Batching:
    """Read a BatchingParameters file; an empty path gives the defaults, a thread for each core.

    Raises StatusError (INVALID_ARGUMENT) for a file or sizes that cannot be used.
    """
    if not path:
        return Batching(num_batch_threads=cores(), thread_pool_name="model_server_batch_threads")
    message = read_text_proto(path, _CLASSES["BatchingParameters"]())

    def value(field: str, default: Any) -> Any:
        return getattr(message, field).value if message.HasField(field) else default

    max_batch_size = value("max_batch_size", Batching.max_batch_size)
    batching = Batching(
        max_batch_size=max_batch_size,
        batch_timeout_micros=value("batch_timeout_micros", Batching.batch_timeout_micros),
        max_enqueued_batches=value("max_enqueued_batches", Batching.max_enqueued_batches),
        num_batch_threads=value("num_batch_threads", cores()),
        thread_pool_name=value("thread_pool_name", Batching.thread_pool_name),
        allowed_batch_sizes=tuple(message.allowed_batch_sizes),
        pad_variable_length_inputs=message.pad_variable_length_inputs,
        enable_large_batch_splitting=value("enable_large_batch_splitting", False),
        max_execution_batch_size=value("max_execution_batch_size", max_batch_size),
    )
    if batching.allowed_batch_sizes and batching.allowed_batch_sizes[-1] != max_batch_size:
        raise invalid_argument(
            "Last entry in allowed_batch_sizes must match max_batch_size; last entry was "
            f"{batching.allowed_batch_sizes[-1]}; expected {max_batch_size}"
        )
    if list(batching.allowed_batch_sizes) != sorted(set(batching.allowed_batch_sizes)):
        raise invalid_argument("allowed_batch_sizes entries must be in increasing order")
    for name in ("max_batch_size", "max_enqueued_batches", "num_batch_threads"):
        if getattr(batching, name) < 1:
            raise invalid_argument(f"{name} must be positive; was {getattr(batching, name)}")
    return batching


def read_prometheus_path(path: str) -> str | None:
    """The URL path of the metrics that a MonitoringConfig file switches on, or None."""
    if not path:
        return None
    config: Any = read_text_proto(path, _CLASSES["MonitoringConfig"]())
    if not config.prometheus_config.enable:
        return None
    return config.prometheus_config.path or "/monitoring/prometheus/metrics"


def read_ssl(path: str) -> Any:
    """The SSLConfig message (server_key, server_cert, custom_ca, client_verify) of a file."""
    return read_text_proto(path, _CLASSES["SSLConfig"]())


def read_model_server_config(path: str) -> Any:
    """The ModelServerConfig message of a file."""
    return read_text_proto(path, model_server_config_pb2.ModelServerConfig())


def single_model_config(name: str, base_path: str) -> Any:
    """The ModelServerConfig that --model_name and --model_base_path stand for."""
    config = model_server_config_pb2.ModelServerConfig()
    config.model_config_list.config.add(name=name, base_path=base_path, model_platform=TENSORFLOW_PLATFORM)
    return config


def version_policy(model: Any) -> VersionPolicy:
    """The version policy of a ModelConfig message; unset means the latest version."""
    policy = model.model_version_policy
    match policy.WhichOneof("policy_choice"):
        case "all":
            return All()
        case "specific":
            return Specific(frozenset(policy.specific.versions))
        case "latest":
            return Latest(policy.latest.num_versions)
        case _:
            return Latest()


def _platform(model: Any) -> str:
    if model.model_type and model.model_platform:
        raise invalid_argument(
            "Illegal setting both ModelServerConfig::model_type (deprecated) and "
            f"ModelServerConfig::model_platform, model name is {model.name}"
        )
    platform = TENSORFLOW_PLATFORM if model.model_type == _TENSORFLOW_MODEL_TYPE else model.model_platform
    if not platform:
        raise invalid_argument(
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
            f"ModelServerConfig::model_platform, model name is {model.name}"
        )
    return str(platform)


def validate_model_config_list(config: Any) -> None:
    """Refuse a ModelServerConfig that TensorFlow Serving refuses (server_core.cc).

    Raises StatusError (INVALID_ARGUMENT): a model twice, a relative base path, no platform or one that is not
    `tensorflow`.
    """
    names = set()
    for model in config.model_config_list.config:
        if model.name in names:
            raise invalid_argument(f"Illegal to list model {model.name} multiple times in config list")
        names.add(model.name)
    for model in config.model_config_list.config:
        if not model.base_path.startswith("/"):
            raise invalid_argument(
                f"Expected model {model.name} to have an absolute path or URI; got "
                f"base_path()={model.base_path}"
            )
        if "://" in model.base_path:
            raise invalid_argument(
                f"Model {model.name}: this stand-in reads local files only, not {model.base_path}"
            )
        platform = _platform(model)
        if platform != TENSORFLOW_PLATFORM:
            raise invalid_argument(f"Model {model.name} requests unsupported platform {platform}")
