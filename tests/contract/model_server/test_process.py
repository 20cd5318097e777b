"""The server as a process: start, shutdown, and failures that it survives."""

import shutil
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np


def accepts(address: str) -> bool:
    host, port = address.split(":")
    with socket.socket() as client:
        return client.connect_ex((host, int(port))) == 0


def test_the_port_opens_with_the_model_and_sigterm_does_not_close_it(
    launch: Callable[..., Any], directory: Path, tmp_path: Path, eventually: Callable[..., None]
) -> None:
    base = tmp_path / "late"
    base.mkdir()
    server = launch(
        "--model_name=late", f"--model_base_path={base}", "--file_system_poll_wait_seconds=1", wait=False
    )
    eventually(lambda: "No versions of servable late found" in server.log.read_text(), "a first look", 180)
    assert not accepts(server.grpc_address)
    assert not accepts(server.rest_address)

    shutil.copytree(directory / "models/everything/1", tmp_path / "copy")
    (tmp_path / "copy").rename(base / "1")
    eventually(lambda: accepts(server.grpc_address), "the port opens")
    assert server.half_plus(4.0, model="late") == 4.0

    server.process.send_signal(signal.SIGTERM)
    assert server.half_plus(4.0, model="late") == 4.0
    with grpc.insecure_channel(server.grpc_address) as later:
        grpc.channel_ready_future(later).result(timeout=60)
    assert server.process.poll() is None


def test_a_model_that_cannot_be_loaded_ends_the_server_with_its_reason(
    launch: Callable[..., Any], directory: Path
) -> None:
    server = launch(f"--model_base_path={directory}/models/broken", "--max_num_load_retries=0", wait=False)
    assert server.process.wait(timeout=180) == 255
    assert (
        "Failed to start server. Error: UNKNOWN: 1 servable(s) did not become available: "
        "{{{name: default version: 1} due to error: "
    ) in server.log.read_text()


def test_more_calls_at_once_than_threads_are_refused(launch: Callable[..., Any], directory: Path) -> None:
    server = launch(
        "--model_name=everything",
        f"--model_base_path={directory}/models/everything",
        "--enable_batching",
        f"--batching_parameters_file={directory}/batching.config",
        "--grpc_max_threads=4",
    )
    request = server.request({"x": np.zeros(2, np.float32)}, signature="batch_rows")
    waiting = [server.prediction.Predict.future(request, timeout=60) for _ in range(4)]  # 3 of them fit in
    refused = next(_done(waiting))
    assert refused.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert refused.details() == "Server Threadpool Exhausted"
    for call in waiting:
        call.cancel()


def _done(calls: list[Any]) -> Any:
    import queue

    finished: queue.Queue[Any] = queue.Queue()
    for call in calls:
        call.add_done_callback(finished.put)
    while True:
        yield finished.get(timeout=60)


def test_an_unknown_flag_ends_the_server_with_its_usage(launch: Callable[..., Any]) -> None:
    server = launch("--model_base_path=/models/x", "--no_such_flag=1", wait=False)
    assert server.process.wait(timeout=180) != 0
    text = server.log.read_text()
    assert "unknown argument: --no_such_flag=1" in text
    assert "--model_base_path" in text


def test_a_server_without_a_model_to_serve_does_not_start(launch: Callable[..., Any]) -> None:
    server = launch(wait=False)
    assert server.process.wait(timeout=180) == 255
    assert "Both server_options.model_base_path and server_options.model_config_file are empty!" in (
        server.log.read_text()
    )
