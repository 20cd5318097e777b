"""Versions that fail, hang or are lost: which version answers, and which failures count."""

from __future__ import annotations

import contextlib
from typing import Any

import grpc
import numpy as np
import pytest

from fake_model import FakeModel
from gateway_testbed import eventually, picture, routing
from imageclassifier_gateway.gateway import Gateway
from imageclassifier_gateway.limits.deadline import Deadline
from imageclassifier_gateway.problems import Problem
from versions_under_test import MakeModel, classify, counts, figures, send, start

each_fault = pytest.mark.parametrize(
    "fault",
    [
        {"fail_with": grpc.StatusCode.UNAVAILABLE},
        {"fail_with": grpc.StatusCode.INTERNAL},
        {"delay_seconds": 4.0},
        {"answer": lambda pixels: np.full((len(pixels), 2), np.nan)},
    ],
    ids=["unavailable", "broken", "slow", "senseless"],
)


@each_fault
def test_a_failing_candidate_is_counted_and_the_serving_version_answers_the_request(
    gateway: Gateway, make_model: MakeModel, fault: dict[str, Any]
) -> None:
    models = (make_model(version=1), make_model(version=2, **fault))
    client = start(gateway, routing(*models, percents=(0, 100)), ready=2)
    assert send(client, 3) == [1] * 3
    eventually(lambda: counts(gateway, 2) == (3, 3), "three failures")
    assert (figures(gateway, 1)["requests"], figures(gateway, 1)["errors"]) == (3, 0)


def test_a_lost_candidate_is_not_counted_as_failing_and_the_serving_version_answers(
    gateway: Gateway, make_model: MakeModel
) -> None:
    """The node may be lost. The status of the pods shows failures of the version itself."""
    two = make_model(version=2)
    client = start(gateway, routing(make_model(version=1), two, percents=(0, 100)), ready=2)
    assert send(client, 3) == [2] * 3
    two.stop()
    assert send(client, 20) == [1] * 20
    eventually(lambda: "cannot be reached" in (figures(gateway, 2)["error"] or ""), "the error is reported")
    assert send(client, 20) == [1] * 20
    assert counts(gateway, 2) == (3, 0)


def test_a_candidate_that_is_known_to_be_gone_costs_no_time(gateway: Gateway, make_model: MakeModel) -> None:
    two = make_model(version=2)
    client = start(gateway, routing(make_model(version=1), two, percents=(0, 100)), ready=2)
    two.stop()
    send(client, 1)
    eventually(lambda: not gateway.predictor.fleet().versions[2].state.reachable, "it is known")
    asked: list[object] = []
    gateway.predictor.fleet().versions[2].server.predict = lambda *given, **_: asked.append(given)  # type: ignore[method-assign]
    assert send(client, 5) == [1] * 5
    assert asked == []


@each_fault
def test_a_promoted_version_that_fails_is_counted_and_the_fallback_answers(
    gateway: Gateway, make_model: MakeModel, fault: dict[str, Any]
) -> None:
    new, before = make_model(version=2, **fault), make_model(version=1)
    client = start(gateway, routing(new, before, percents=(100, 0), fallback=1), ready=2)
    assert send(client, 3) == [1] * 3
    eventually(lambda: counts(gateway, 2) == (3, 3), "three failures")
    assert (figures(gateway, 1)["requests"], figures(gateway, 1)["errors"]) == (3, 0)


def test_the_fallback_is_called_once_and_only_after_a_failure(
    gateway: Gateway, make_model: MakeModel
) -> None:
    new, before = make_model(version=2), make_model(version=1)
    client = start(gateway, routing(new, before, percents=(100, 0), fallback=1), ready=2)
    assert send(client, 3) == [2] * 3
    assert before.requests == []
    new.fail_with = before.fail_with = grpc.StatusCode.INTERNAL
    assert client.post("/predict", data=picture()).status_code == 502
    assert (len(new.requests), len(before.requests)) == (4, 1)


def test_a_serving_version_without_a_fallback_that_is_gone_answers_503_and_not_by_another(
    gateway: Gateway, make_model: MakeModel
) -> None:
    one, other = make_model(version=1, fail_with=grpc.StatusCode.UNAVAILABLE), make_model(version=2)
    client = start(gateway, routing(one, other, percents=(100, 0)), ready=2)
    assert client.post("/predict", data=picture()).status_code == 503
    assert other.requests == []


def test_client_errors_do_not_count_against_the_version(gateway: Gateway, model: FakeModel) -> None:
    client = start(gateway, routing(model), ready=1)
    for body in (b"nonsense", b"", picture()[:100], b"{"):
        assert 400 <= client.post("/predict", data=body).status_code < 500
    assert (figures(gateway, 1)["requests"], figures(gateway, 1)["errors"]) == (0, 0)


@pytest.mark.parametrize("code", [grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INTERNAL])
def test_a_request_that_both_versions_refuse_does_not_count_against_the_candidate(
    gateway: Gateway, make_model: MakeModel, code: grpc.StatusCode
) -> None:
    one, two = make_model(version=1), make_model(version=2)
    client = start(gateway, routing(one, two, percents=(0, 100)), ready=2)
    one.refuse = two.refuse = lambda pixels: code if pixels.max() == 0 else None
    for _ in range(3):
        assert client.post("/predict", data=picture("black")).status_code == 502
    assert (figures(gateway, 2)["requests"], figures(gateway, 2)["errors"]) == (0, 0)
    two.refuse = lambda pixels: code
    assert send(client, 3) == [1] * 3
    assert (figures(gateway, 2)["requests"], figures(gateway, 2)["errors"]) == (3, 3)


def test_an_overloaded_candidate_is_not_counted_as_failing(gateway: Gateway, make_model: MakeModel) -> None:
    models = (make_model(version=1), make_model(version=2, fail_with=grpc.StatusCode.RESOURCE_EXHAUSTED))
    client = start(gateway, routing(*models, percents=(0, 100)), ready=2)
    assert send(client, 3) == [1] * 3
    assert (figures(gateway, 2)["requests"], figures(gateway, 2)["errors"]) == (0, 0)


def test_a_request_that_is_slow_for_every_version_counts_against_none(
    gateway: Gateway, make_model: MakeModel
) -> None:
    # The candidate gets 2 s of the 4 s. Neither version can answer in 2 s.
    one, two = make_model(version=1, delay_seconds=2.2), make_model(version=2, delay_seconds=2.2)
    start(gateway, routing(one, two, percents=(0, 100)), ready=2)
    with contextlib.suppress(Problem):
        classify(gateway, Deadline.after(4.5))
    assert figures(gateway, 2)["errors"] == 0


def test_a_connection_that_is_closed_meanwhile_is_a_passing_failure_and_does_not_count(
    gateway: Gateway, model: FakeModel
) -> None:
    client = start(gateway, routing(model), ready=1)
    gateway.predictor.fleet().versions[1].server.close()
    for answer in (
        client.post("/predict", data=picture()),
        client.get("/v1/models/pizza-model"),
        client.get("/v1/models/pizza-model/metadata"),
    ):
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert figures(gateway, 1)["errors"] == 0
