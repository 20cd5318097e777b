"""The command line: TensorFlow Serving's flags, types and defaults."""

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest

from model_server.flags import _TABLE, FlagError, Options, cores, parse, usage


def value(name: str, *arguments: str) -> Any:
    return asdict(parse(list(arguments))[0])[name]


def test_options_are_exactly_the_flags_that_are_honoured() -> None:
    honoured = {name for name, flag in _TABLE.items() if flag["honoured"] == "yes"}
    assert {field.name for field in fields(Options)} == honoured


def test_every_flag_has_a_type_a_default_and_a_reason_where_it_is_not_honoured() -> None:
    for name, flag in _TABLE.items():
        assert flag["type"] in ("bool", "int32", "int64", "float", "string"), name
        assert "default" in flag, name
        assert (flag["honoured"] == "yes") == ("note" not in flag) == ("meaning" in flag), name


def test_defaults_are_those_of_tensorflow_serving() -> None:
    options, notes = parse([])
    assert notes == []
    assert options.port == 8500
    assert options.rest_api_port == 0
    assert options.model_name == "default"
    assert options.max_num_load_retries == 5
    assert options.load_retry_interval_micros == 60_000_000
    assert options.file_system_poll_wait_seconds == 1
    assert options.enable_model_warmup
    assert options.grpc_max_threads == 4 * cores()


@pytest.mark.parametrize(
    ("argument", "name", "expected"),
    [
        ("--port=9000", "port", 9000),
        ("--port=-1", "port", -1),
        ("--enable_batching", "enable_batching", True),
        ("--enable_batching=true", "enable_batching", True),
        ("--enable_model_warmup=false", "enable_model_warmup", False),
        ("--model_name=", "model_name", ""),
        ("--grpc_channel_arguments=a=1,b=2", "grpc_channel_arguments", "a=1,b=2"),
        ("--load_retry_interval_micros=9000000000", "load_retry_interval_micros", 9_000_000_000),
    ],
)
def test_a_value_is_read_by_its_flags_type(argument: str, name: str, expected: Any) -> None:
    assert value(name, argument) == expected


def test_the_last_of_two_values_counts() -> None:
    assert value("port", "--port=1", "--port=2") == 2


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("--prot=8500", "unknown argument: --prot=8500"),
        ("-port=8500", "unknown argument: -port=8500"),
        ("8500", "unknown argument: 8500"),
        ("--port=many", "Couldn't interpret value many for flag port: it is of type int32."),
        ("--port=2147483648", "Couldn't interpret value 2147483648 for flag port: it is of type int32."),
        (
            "--enable_batching=yes",
            "Couldn't interpret value yes for flag enable_batching: it is of type bool.",
        ),
        ("--port", "--port needs a value: --port=<int32>."),
        (
            "--use_alts_credentials",
            "--use_alts_credentials is a flag of TensorFlow Serving that this stand-in lacks: ALTS works "
            "only on "
            "Google Cloud.",
        ),
    ],
)
def test_a_flag_that_cannot_be_used_is_an_error(argument: str, sentence: str) -> None:
    with pytest.raises(FlagError) as caught:
        parse([argument])
    assert str(caught.value) == sentence


def test_a_flag_without_effect_is_reported() -> None:
    assert parse(["--flush_filesystem_caches=false"])[1] == [
        "--flush_filesystem_caches has no effect in this stand-in: the page cache is left to the kernel."
    ]


def test_an_unsupported_flag_may_have_its_default_value() -> None:
    parse(["--prefer_tflite_model=false", "--platform_config_file="])


def test_usage_lists_every_flag() -> None:
    assert all(f"--{name}=" in usage("tensorflow_model_server") for name in _TABLE)


def test_usage_begins_with_what_the_server_is_an_example_and_the_environment_variables() -> None:
    shown = usage("tensorflow_model_server")
    assert "stand-in for TensorFlow Serving" in shown
    assert shown.index("Example:") < shown.index("MODEL_SERVER_BIND_ADDRESS") < shown.index("Flags:")


def test_only_the_runtime_module_runs_tensorflow() -> None:
    package = Path(__file__).parents[2] / "model_server/src/model_server"
    users = {
        path.stem
        for path in package.glob("*.py")
        if "from tensorflow.python" in path.read_text() or "import tensorflow\n" in path.read_text()
    }
    assert users == {"runtime"}
