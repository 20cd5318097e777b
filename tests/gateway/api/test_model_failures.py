"""Failures of the model as clients see them: their problem documents, and the calls that are retried."""

from __future__ import annotations

from collections.abc import Callable

import grpc
import numpy as np
import pytest
from flask.testing import FlaskClient

from api_answers import problem
from fake_model import FakeModel
from gateway_testbed import picture
from imageclassifier_gateway.api.app import create_app
from imageclassifier_gateway.gateway import Gateway


@pytest.mark.parametrize(
    ("code", "status", "cause"),
    [
        (grpc.StatusCode.UNAVAILABLE, 503, "model-unavailable"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, 503, "overloaded"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, 504, "model-timeout"),
        (grpc.StatusCode.INTERNAL, 502, "model-error"),
        (grpc.StatusCode.INVALID_ARGUMENT, 502, "model-error"),
    ],
)
def test_each_failure_of_the_model_has_its_own_problem(
    client: FlaskClient, model: FakeModel, code: grpc.StatusCode, status: int, cause: str
) -> None:
    model.fail_with = code
    answer = client.post("/predict", data=picture())
    problem(answer, status, cause)
    assert ("Retry-After" in answer.headers) == (status == 503)


@pytest.mark.parametrize(
    "answer",
    [
        lambda pixels: np.full((len(pixels), 2), np.nan),
        lambda pixels: np.full((len(pixels), 2), 7.0),
        lambda pixels: np.full((len(pixels), 3), 0.3),
        lambda pixels: np.full((len(pixels) + 1, 2), 0.5),
        lambda pixels: np.full((2,), 0.5),
    ],
    ids=["not a number", "no probability", "a class too many", "a row too many", "no batch"],
)
def test_an_answer_that_cannot_be_right_is_never_passed_on(
    client: FlaskClient, model: FakeModel, answer: Callable[[np.ndarray], np.ndarray]
) -> None:
    model.answer = answer
    problem(client.post("/predict", data=picture()), 502, "model-error")


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED])
def test_a_call_that_no_server_could_begin_with_is_made_once_more(
    client: FlaskClient, model: FakeModel, code: grpc.StatusCode
) -> None:
    model.fail_with = code
    client.post("/predict", data=picture())
    assert len(model.requests) == 2


@pytest.mark.parametrize(
    ("code", "details"),
    [
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "No thread is free."),
        # tensorflow/core/kernels/batching_util/shared_batch_scheduler.h
        (grpc.StatusCode.UNAVAILABLE, "The batch scheduling queue to which this task was submitted is full"),
    ],
)
def test_a_server_with_too_much_to_do_is_given_a_moment_before_the_second_call(
    client: FlaskClient, model: FakeModel, code: grpc.StatusCode, details: str
) -> None:
    model.fail_with, model.fail_details = code, details
    problem(client.post("/predict", data=picture()), 503, "overloaded")
    first, second = model.times
    assert second - first >= 0.05


def test_errors_that_a_retry_cannot_fix_are_not_retried(client: FlaskClient, model: FakeModel) -> None:
    model.fail_with = grpc.StatusCode.INVALID_ARGUMENT
    client.post("/predict", data=picture())
    assert len(model.requests) == 1


@pytest.mark.parametrize("timeout_seconds", [2])
def test_a_request_to_a_slow_model_ends_at_the_deadline(
    gateway: Gateway, client: FlaskClient, model: FakeModel
) -> None:
    model.delay_seconds = gateway.settings.timeout_seconds + 1
    problem(client.post("/predict", data=picture()), 504, "model-timeout")


def test_without_a_routing_file_requests_get_503_with_retry_after(gateway: Gateway) -> None:
    client = create_app(gateway).test_client()
    gateway.start()
    answer = client.post("/predict", data=picture())
    assert "not yet chosen a version" in problem(answer, 503, "not-ready")
    assert answer.headers["Retry-After"]
    assert gateway.unready_reason() is not None
