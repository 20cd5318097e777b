"""Parses the flags of `tensorflow_model_server` like TensorFlow's flag parser.

Only `--name=value` is understood, and `--name` for a bool; the names, types and defaults are in flags.json.
Two things are stricter than the original, on purpose: an unknown flag ends the server (the original prints
its usage and goes on), and so does a flag this stand-in cannot honour.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_TABLE = json.loads((Path(__file__).parent / "flags.json").read_text(encoding="utf-8"))["flags"]
_MARKS = {"ignored": "has no effect here", "no": "refused here"}
_ABOUT = """
A stand-in for TensorFlow Serving: the same flags, gRPC API and REST API, for machines that cannot pull its
image. Use it for development only.

Example:
  tensorflow_model_server --port=8500 --rest_api_port=8501 --model_name=pizza-model \\
      --model_base_path=$PWD/models/pizza-model

Environment variables:
  MODEL_SERVER_BIND_ADDRESS  address of the ports (default: 0.0.0.0)
  MODEL_SERVER_PYTHON        Python that runs the server (default: python3)
"""
_INTEGER_LIMITS = {"int32": 2**31, "int64": 2**63}


class FlagError(Exception):
    """An invalid command line; the message is what the user reads."""


@dataclass(frozen=True)
class Options:
    """The values of all supported flags; the fields have the names of the flags."""

    port: int
    grpc_socket_path: str
    rest_api_port: int
    rest_api_num_threads: int
    rest_api_timeout_in_ms: int
    rest_api_enable_cors_support: bool
    enable_batching: bool
    allow_version_labels_for_unavailable_models: bool
    batching_parameters_file: str
    enable_per_model_batching_parameters: bool
    model_config_file: str
    model_config_file_poll_wait_seconds: int
    model_name: str
    model_base_path: str
    num_load_threads: int
    num_unload_threads: int
    max_num_load_retries: int
    load_retry_interval_micros: int
    file_system_poll_wait_seconds: int
    tensorflow_session_parallelism: int
    tensorflow_session_config_file: str
    tensorflow_intra_op_parallelism: int
    tensorflow_inter_op_parallelism: int
    ssl_config_file: str
    saved_model_tags: str
    grpc_channel_arguments: str
    grpc_max_threads: int
    enable_model_warmup: bool
    num_request_iterations_for_warmup: int
    version: bool
    monitoring_config_file: str
    enable_signature_method_name_check: bool
    enable_grpc_healthcheck_service: bool
    enable_serialization_as_tensor_content: bool


def cores() -> int:
    """The number of cores this process may run on."""
    return len(os.sched_getaffinity(0))


def _default(flag: Mapping[str, Any]) -> Any:
    match flag["default"]:
        case "cores":
            return cores()
        case "4 * cores":
            return 4 * cores()
        case value:
            return value


def _parse_value(name: str, kind: str, text: str | None) -> Any:
    if kind == "bool":
        if text in (None, "true"):
            return True
        if text == "false":
            return False
    elif text is not None:
        if kind == "string":
            return text
        try:
            if kind == "float":
                return float(text)
            number = int(text)
        except ValueError:
            pass
        else:
            if -_INTEGER_LIMITS[kind] <= number < _INTEGER_LIMITS[kind]:
                return number
    else:
        raise FlagError(f"--{name} needs a value: --{name}=<{kind}>.")
    raise FlagError(f"Couldn't interpret value {text} for flag {name}: it is of type {kind}.")


def parse(arguments: Sequence[str]) -> tuple[Options, list[str]]:
    """Parse the command line without the name of the program.

    Returns the options and one sentence for each flag that was given but has no effect here.
    Raises FlagError for an unknown flag, a value of the wrong type, and a flag that cannot be honoured.
    """
    values = {name: _default(flag) for name, flag in _TABLE.items()}
    notes = []
    for argument in arguments:
        name, equals, text = argument.removeprefix("--").partition("=")
        if not argument.startswith("--") or name not in _TABLE:
            raise FlagError(f"unknown argument: {argument}")
        flag = _TABLE[name]
        value = _parse_value(name, flag["type"], text if equals else None)
        values[name] = value
        if flag["honoured"] == "no" and value != _default(flag):
            raise FlagError(
                f"--{name} is a flag of TensorFlow Serving that this stand-in lacks: {flag['note']}."
            )
        if flag["honoured"] == "ignored":
            notes.append(f"--{name} has no effect in this stand-in: {flag['note']}.")
    return Options(
        **{name: values[name] for name, flag in _TABLE.items() if flag["honoured"] == "yes"}
    ), notes


def usage(program: str) -> str:
    """The help text: each flag with its type, default and meaning, or why it is not supported here."""
    lines = [f"usage: {program} --model_base_path=FOLDER [--FLAG=VALUE ...]", _ABOUT, "Flags:"]
    for name, flag in _TABLE.items():
        default = json.dumps(flag["default"]).strip(chr(34))
        note = flag["meaning"] if flag["honoured"] == "yes" else f"{_MARKS[flag['honoured']]}: {flag['note']}"
        lines.append(f"  --{name}={default}\t{flag['type']}, {note}")
    return "\n".join(lines) + "\n"
