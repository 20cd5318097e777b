"""The text protobuf files that flags name."""

from pathlib import Path

import pytest

from model_server.batching_options import Batching, read_batching
from model_server.flags import cores
from model_server.grpc_server import channel_arguments
from model_server.model_config import read_model_server_config, version_policy
from model_server.status import StatusError
from model_server.text_config import read_prometheus_path, read_ssl
from model_server.version_policy import All, Latest, Specific


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def test_batching_parameters_left_out_have_the_schedulers_defaults(tmp_path: Path) -> None:
    batching = read_batching(write(tmp_path / "b", "batch_timeout_micros { value: 5000 }"))
    assert batching == Batching(batch_timeout_micros=5000, num_batch_threads=cores())
    assert (batching.max_batch_size, batching.max_enqueued_batches) == (1000, 10)
    assert read_batching("").thread_pool_name == "model_server_batch_threads"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "max_batch_size { value: 8 } allowed_batch_sizes: [2, 4]",
            "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 4; expected 8",
        ),
        ("max_batch_size { value: 8 } allowed_batch_sizes: [4, 2, 8]", "must be in increasing order"),
        ("num_batch_threads { value: 0 }", "num_batch_threads must be positive; was 0"),
        ("no_such_field: 1", "Invalid protobuf file: "),
    ],
)
def test_invalid_batching_parameters_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(StatusError, match=message):
        read_batching(write(tmp_path / "b", text))


def test_a_missing_file_is_named() -> None:
    with pytest.raises(StatusError, match="Invalid protobuf file: '/no/such/file'"):
        read_model_server_config("/no/such/file")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("", None),
        ("prometheus_config { enable: false path: '/x' }", None),
        ("prometheus_config { enable: true }", "/monitoring/prometheus/metrics"),
        ("prometheus_config { enable: true path: '/x' }", "/x"),
    ],
)
def test_monitoring_names_the_path_of_the_metrics(tmp_path: Path, text: str, path: str | None) -> None:
    assert read_prometheus_path(write(tmp_path / "m", text)) == path


def test_tls_keys_are_read(tmp_path: Path) -> None:
    config = read_ssl(write(tmp_path / "s", "server_key: 'k' server_cert: 'c' client_verify: true"))
    assert (config.server_key, config.server_cert, config.custom_ca, config.client_verify) == (
        "k",
        "c",
        "",
        True,
    )


def test_version_policies_are_read(tmp_path: Path) -> None:
    policies = {
        "": Latest(),
        "model_version_policy { latest { num_versions: 2 } }": Latest(2),
        "model_version_policy { all {} }": All(),
        "model_version_policy { specific { versions: 3 versions: 5 } }": Specific(frozenset({3, 5})),
    }
    for text, policy in policies.items():
        file = write(tmp_path / "c", f"model_config_list {{ config {{ name: 'm' {text} }} }}")
        assert version_policy(read_model_server_config(file).model_config_list.config[0]) == policy


def test_numeric_channel_arguments_are_read_as_numbers() -> None:
    assert channel_arguments("a.b=1,c=x,d=99999999999") == [("a.b", 1), ("c", "x"), ("d", "99999999999")]
    assert channel_arguments("") == []
    with pytest.raises(StatusError, match="nonsense is not of the form key=value"):
        channel_arguments("nonsense")
