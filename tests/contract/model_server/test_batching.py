"""Batching: the server waits until eight rows have come together, so what runs together is certain."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from imageclassifier_operator.api.serving import Batching
from imageclassifier_operator.render.model_server_config import MAX_PICTURES_PER_CALL, batching_config


def start(server: Any, rows: int, signature: str, seconds: float = 60, **inputs: Any) -> Any:
    """Call Predict without waiting for the answer."""
    inputs = inputs or {"x": np.arange(rows, dtype=np.float32)}
    return server.prediction.Predict.future(server.request(inputs, signature=signature), timeout=seconds)


def test_requests_that_come_together_run_together(batching_server: Any) -> None:
    calls = [start(batching_server, 2, "batch_rows") for _ in range(4)]
    assert [list(call.result().outputs["rows"].int_val) for call in calls] == [[8, 8]] * 4


def test_each_request_gets_its_own_rows_back(batching_server: Any) -> None:
    calls = [start(batching_server, 0, "half_plus", x=np.full(size, size, np.float32)) for size in (1, 2, 5)]
    answers = [list(call.result().outputs["y"].float_val) for call in calls]
    assert answers == [[3.5], [4.0] * 2, [5.5] * 5]


def test_uint8_pictures_are_batched(batching_server: Any, server: Any) -> None:
    pixels = np.random.default_rng(8).integers(0, 256, (8, 4, 4, 3), np.uint8)
    calls = [start(batching_server, 0, "", pixels=pixels[i : i + 4]) for i in (0, 4)]
    batched = [v for call in calls for v in call.result().outputs["probabilities"].float_val]
    assert batched == pytest.approx(
        list(server.predict({"pixels": pixels}).outputs["probabilities"].float_val)
    )


def test_a_full_queue_is_unavailable(batching_server: Any) -> None:
    calls = {
        rows: start(batching_server, rows, "batch_rows") for rows in (5, 4)
    }  # 9 rows: one more than fits

    refused = _first_to_fail(calls)
    assert calls[refused].code() is grpc.StatusCode.UNAVAILABLE
    assert calls[refused].details() == "The batch scheduling queue to which this task was submitted is full"
    waiting = 9 - refused
    start(batching_server, 8 - waiting, "batch_rows").result()
    assert len(calls[waiting].result().outputs["rows"].int_val) == waiting


def _first_to_fail(calls: dict[int, Any]) -> int:
    import concurrent.futures
    import threading

    failed: concurrent.futures.Future[int] = concurrent.futures.Future()
    lock = threading.Lock()

    def done(rows: int) -> None:
        with lock:
            if not failed.done():
                failed.set_result(rows)

    for rows, call in calls.items():
        call.add_done_callback(lambda _, rows=rows: done(rows))
    return failed.result(timeout=60)


def test_a_request_larger_than_a_batch_is_refused(batching_server: Any, failure: Callable[..., Any]) -> None:
    failed = failure(lambda: start(batching_server, 9, "batch_rows").result())
    assert failed.code is grpc.StatusCode.INVALID_ARGUMENT
    assert failed.message == "Task size 9 is larger than maximum input batch size 8"


def test_inputs_of_one_request_need_the_same_number_of_rows(
    batching_server: Any, failure: Callable[..., Any]
) -> None:
    inputs = {"a": np.zeros(8, np.float32), "b": np.zeros(7, np.float32)}
    failed = failure(lambda: batching_server.predict(inputs, signature="arithmetic"))
    assert failed.message == "Batching Run() input tensors must have equal 0th-dimension size"


def test_pictures_of_different_sizes_cannot_share_a_batch(
    batching_server: Any, failure: Callable[..., Any]
) -> None:
    calls = [start(batching_server, 0, "", pixels=np.zeros((4, *s, 3), np.uint8)) for s in ((4, 4), (8, 2))]
    for call in calls:
        failed = failure(call.result)
        assert failed.code is grpc.StatusCode.FAILED_PRECONDITION
        assert "have different shapes and padding is turned off" in failed.message


def test_a_request_that_timed_out_does_not_harm_the_others(
    batching_server: Any, failure: Callable[..., Any]
) -> None:
    gives_up = start(batching_server, 1, "contract", seconds=5, ignored=np.zeros(1, np.int32))
    assert failure(gives_up.result).code is grpc.StatusCode.DEADLINE_EXCEEDED
    patient = start(batching_server, 0, "contract", ignored=np.zeros(7, np.int32))
    assert len(patient.result().outputs["json"].string_val) == 7


def test_a_mistake_fails_alone_and_the_next_batch_runs(
    batching_server: Any, failure: Callable[..., Any]
) -> None:
    failed = failure(lambda: start(batching_server, 0, "half_plus", x=np.zeros(8, np.int32)).result())
    assert failed.message == "Expects arg[0] to be float but int32 is provided"
    assert len(start(batching_server, 8, "half_plus").result().outputs["y"].float_val) == 8


def test_connections_of_a_certain_age_are_ended_and_clients_connect_again(
    batching_server: Any, eventually: Callable[..., None]
) -> None:
    states: list[grpc.ChannelConnectivity] = []
    with grpc.insecure_channel(batching_server.grpc_address) as channel:
        channel.subscribe(states.append, try_to_connect=True)

        def was_ended() -> bool:
            ready = grpc.ChannelConnectivity.READY
            return ready in states and any(state is not ready for state in states[states.index(ready) :])

        eventually(was_ended, "the server ends the connection")
        predict = channel.unary_unary(
            "/tensorflow.serving.PredictionService/Predict",
            request_serializer=lambda message: message.SerializeToString(),
        )
        request = batching_server.request({"x": np.zeros(8, np.float32)}, signature="half_plus")
        assert predict(request, timeout=60)


@pytest.mark.parametrize("run", [1, 3, 7, 8])
def test_a_server_with_the_operators_batching_loads_a_warmed_up_model_and_accepts_a_whole_call(
    launch: Callable[..., Any], directory: Path, tmp_path: Path, run: int
) -> None:
    batching = Batching(max_batch_size=run, timeout_microseconds=0, max_enqueued_batches=1)
    (tmp_path / "batching.config").write_text(batching_config(batching, cpu_limit="2"))
    server = launch(
        "--model_name=warm",
        f"--model_base_path={directory}/models/warm",
        "--enable_batching=true",
        f"--batching_parameters_file={tmp_path}/batching.config",
        "--max_num_load_retries=0",
        "--grpc_max_threads=16",
    )
    inputs = {"x": np.zeros(MAX_PICTURES_PER_CALL, np.float32)}
    rows = server.predict(inputs, model="warm", signature="batch_rows").outputs["rows"].int_val
    assert len(rows) == MAX_PICTURES_PER_CALL
    assert max(rows) <= run
