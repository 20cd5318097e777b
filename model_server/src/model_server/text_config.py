"""Reads the text protobuf files that flags name: monitoring, TLS and batching.

The package tensorflow-serving-api leaves these messages out, so their descriptors are made here, with the
field names and numbers of TensorFlow Serving's .proto files.
"""

from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2
from google.protobuf.message import Message

from .status import invalid_argument

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


MESSAGE_CLASSES = _message_classes()


def read_text_proto(path: str, message: Any) -> Any:
    """Fill `message` from a text protobuf file and return it.

    Raises StatusError (INVALID_ARGUMENT) with the file's name when it cannot be read or parsed.
    """
    try:
        return text_format.Parse(Path(path).read_text(encoding="utf-8"), message)
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise invalid_argument(f"Invalid protobuf file: '{path}' ({error})") from error


def read_prometheus_path(path: str) -> str | None:
    """The URL path of the metrics that a MonitoringConfig file switches on, or None."""
    if not path:
        return None
    config: Any = read_text_proto(path, MESSAGE_CLASSES["MonitoringConfig"]())
    if not config.prometheus_config.enable:
        return None
    return config.prometheus_config.path or "/monitoring/prometheus/metrics"


def read_ssl(path: str) -> Any:
    """The SSLConfig message (server_key, server_cert, custom_ca, client_verify) of a file."""
    return read_text_proto(path, MESSAGE_CLASSES["SSLConfig"]())
