"""Merging, padding, splitting and waiting, on a model that is a plain function."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from model_server.batch_scheduler import BatchScheduler
from model_server.batch_tensors import merge
from model_server.batching import BatchingSession
from model_server.batching_options import Batching
from model_server.metrics import Metrics
from model_server.status import Code, StatusError


class Doubler:
    """Doubles x and records the rows of every batch it was given."""

    def __init__(self) -> None:
        self.rows: list[list[float]] = []
        self.timeouts: list[float | None] = []

    def run(
        self, inputs: Mapping[str, Any], names: Sequence[str], timeout_seconds: float | None
    ) -> list[Any]:
        self.rows.append(inputs["x"].tolist())
        self.timeouts.append(timeout_seconds)
        return [2 * inputs["x"] for _ in names]


def session(model: Any, **options: Any) -> BatchingSession:
    return BatchingSession(model.run, Batching(**options), BatchScheduler(2, "test"), Metrics())


def rows(*values: float) -> dict[str, Any]:
    return {"x": np.array(values, np.float32)}


def test_without_a_timeout_a_lone_request_runs_at_once() -> None:
    model = Doubler()
    assert session(model).run(rows(1, 2), ["y"], None)[0].tolist() == [2, 4]
    assert model.rows == [[1, 2]]


def test_requests_that_fill_a_batch_run_as_one() -> None:
    model = Doubler()
    batching = session(model, max_batch_size=3, batch_timeout_micros=600_000_000)
    with ThreadPoolExecutor(2) as pool:
        results = [pool.submit(batching.run, rows(*values), ["y"], None) for values in ((1,), (2, 3))]
        assert [result.result()[0].tolist() for result in results] == [[2], [4, 6]]
    assert [sorted(batch) for batch in model.rows] == [[1, 2, 3]]


def test_a_batch_is_filled_up_to_an_allowed_size_with_a_row_it_has() -> None:
    model = Doubler()
    batching = session(model, max_batch_size=8, allowed_batch_sizes=(4, 8))
    assert batching.run(rows(1, 2), ["y"], None)[0].tolist() == [2, 4]
    assert model.rows == [[1, 2, 1, 1]]


def test_a_large_request_is_split_and_put_together_again() -> None:
    model = Doubler()
    batching = session(
        model, max_batch_size=10, max_execution_batch_size=4, enable_large_batch_splitting=True
    )
    assert batching.run(rows(*range(10)), ["y"], None)[0].tolist() == [2 * n for n in range(10)]
    assert sorted(len(batch) for batch in model.rows) == [2, 4, 4]


def test_variable_lengths_are_padded_only_when_configured() -> None:
    arrays = [np.array([[1, 2]]), np.array([[3, 4, 5]])]
    padded = merge("x", arrays, Batching(pad_variable_length_inputs=True))
    assert padded.tolist() == [[1, 2, 1], [3, 4, 5]]
    with pytest.raises(StatusError, match="padding is turned off"):
        merge("x", arrays, Batching())


def test_an_output_without_a_batch_dimension_is_refused() -> None:
    class Scalar(Doubler):
        def run(self, inputs: Any, names: Any, timeout_seconds: Any) -> list[Any]:
            return [np.float32(1).reshape(())]

    with pytest.raises(StatusError, match="Batched output tensor has 0 dimensions"):
        session(Scalar()).run(rows(1), ["y"], None)

    class Short(Doubler):
        def run(self, inputs: Any, names: Any, timeout_seconds: Any) -> list[Any]:
            return [inputs["x"][:1]]

    with pytest.raises(StatusError, match="0th dimension does not equal the sum"):
        session(Short()).run(rows(1, 2), ["y"], None)


def test_a_request_whose_time_ran_out_in_the_queue_does_not_run() -> None:
    model = Doubler()
    with pytest.raises(StatusError) as caught:
        session(model).run(rows(1), ["y"], -1.0)
    assert caught.value.code is Code.RESOURCE_EXHAUSTED
    assert model.rows == []


def test_the_most_patient_request_gives_a_batch_its_time() -> None:
    model = Doubler()
    batching = session(model, max_batch_size=2, batch_timeout_micros=600_000_000)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda seconds: batching.run(rows(1), ["y"], seconds), (100.0, 1000.0)))
    (timeout_seconds,) = model.timeouts
    assert timeout_seconds is not None
    assert 100 < timeout_seconds <= 1000


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "must have at least one input tensor"),
        ({"x": np.float32(1).reshape(())}, "must have at least one dimension"),
        ({"x": np.zeros(1), "y": np.zeros(2)}, "must have equal 0th-dimension size"),
    ],
)
def test_inputs_that_cannot_be_batched_are_refused(inputs: dict[str, Any], message: str) -> None:
    with pytest.raises(StatusError, match=message):
        session(Doubler()).run(inputs, ["y"], None)


def test_an_unexpected_error_reaches_the_request_and_the_threads_live_on() -> None:
    class Fails(Doubler):
        def run(self, inputs: Any, names: Any, timeout_seconds: Any) -> list[Any]:
            if inputs["x"][0] < 0:
                raise ZeroDivisionError("unexpected")
            return super().run(inputs, names, timeout_seconds)

    batching = session(Fails())
    for _ in range(4):
        with pytest.raises(ZeroDivisionError):
            batching.run(rows(-1), ["y"], None)
    assert batching.run(rows(1), ["y"], None)[0].tolist() == [2]


def test_a_closed_session_leaves_no_queue_behind() -> None:
    class Recording(BatchScheduler):
        removed = 0

        def remove_queue(self, queue: Any) -> None:
            super().remove_queue(queue)
            self.removed += 1

    scheduler = Recording(1, "test")
    batching = BatchingSession(Doubler().run, Batching(), scheduler, Metrics())
    batching.run(rows(1), ["y"], None)
    batching.close()
    assert scheduler.removed == 1
