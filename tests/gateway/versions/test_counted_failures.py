"""Which failures of a call count against the version that was called."""

from __future__ import annotations

import grpc
import pytest

from imageclassifier_gateway.versions.counted_failures import Failure
from imageclassifier_gateway.versions.model_server_errors import (
    ERROR_OF_CODE,
    ModelServerError,
    Suspect,
    error_class,
)

WHOLE_SECONDS = 10.0


def failure(code: grpc.StatusCode, allowed_seconds: float = 5.0, details: str = "") -> Failure:
    error = error_class(code, details)("It failed.")
    return Failure(2, error, allowed_seconds, seconds=0.1)


def test_every_status_has_its_place_in_the_table() -> None:
    assert set(ERROR_OF_CODE) == set(grpc.StatusCode)


@pytest.mark.parametrize(
    ("code", "suspect"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, Suspect.REQUEST),
        (grpc.StatusCode.OUT_OF_RANGE, Suspect.REQUEST),
        (grpc.StatusCode.DEADLINE_EXCEEDED, Suspect.TIME),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, Suspect.LOAD),
        (grpc.StatusCode.CANCELLED, Suspect.LOAD),
        (grpc.StatusCode.UNAVAILABLE, Suspect.CONNECTION),
        (grpc.StatusCode.NOT_FOUND, Suspect.VERSION),
        (grpc.StatusCode.INTERNAL, Suspect.VERSION),
    ],
)
def test_a_status_points_to_what_can_cause_it(code: grpc.StatusCode, suspect: Suspect) -> None:
    assert error_class(code, "").suspect is suspect


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
def test_no_failure_that_comes_with_load_ever_counts(code: grpc.StatusCode) -> None:
    # tensorflow/core/kernels/batching_util/shared_batch_scheduler.h
    full = failure(code, details="The batch scheduling queue to which this task was submitted is full")
    assert not full.counts_alone(WHOLE_SECONDS)
    assert not full.counts_beside(0.01, WHOLE_SECONDS)


def test_a_model_that_does_not_fit_into_its_memory_is_not_taken_for_an_overloaded_server() -> None:
    details = "OOM when allocating tensor with shape[8,2048,2048,64]"
    assert error_class(grpc.StatusCode.RESOURCE_EXHAUSTED, details) is ModelServerError


def test_an_invalid_request_counts_only_when_another_version_answers_it() -> None:
    invalid = failure(grpc.StatusCode.INVALID_ARGUMENT)
    assert not invalid.counts_alone(WHOLE_SECONDS)
    assert invalid.counts_beside(0.1, WHOLE_SECONDS)


@pytest.mark.parametrize(
    ("allowed_seconds", "other_seconds", "counts"),
    [
        (5.0, 0.1, True),  # it hangs
        (5.0, 2.4, True),
        (5.0, 2.6, False),  # the request is slow for every version
        (2.0, 3.0, False),  # slow URLs left less than another version needs
        (0.5, 0.001, False),  # a moment's delay is no hanging
    ],
)
def test_a_timeout_counts_only_when_another_version_is_much_quicker(
    allowed_seconds: float, other_seconds: float, counts: bool
) -> None:
    late = failure(grpc.StatusCode.DEADLINE_EXCEEDED, allowed_seconds)
    assert late.counts_beside(other_seconds, WHOLE_SECONDS) is counts


@pytest.mark.parametrize(("allowed_seconds", "counts"), [(9.9, True), (4.9, False)])
def test_a_timeout_of_the_only_version_counts_when_it_had_most_of_the_time(
    allowed_seconds: float, counts: bool
) -> None:
    late = failure(grpc.StatusCode.DEADLINE_EXCEEDED, allowed_seconds)
    assert late.counts_alone(WHOLE_SECONDS) is counts
