"""How the time of a request is shared between its steps and the versions that are called."""

from __future__ import annotations

import contextlib
from typing import Any

import grpc
import numpy as np
import pytest

from fake_model import FakeModel
from gateway_testbed import eventually, routing
from imageclassifier_gateway.gateway import Gateway
from imageclassifier_gateway.limits.deadline import Deadline
from imageclassifier_gateway.pixels import images
from imageclassifier_gateway.problems import Problem
from imageclassifier_gateway.versions import batches
from imageclassifier_gateway.versions.model_server_errors import ModelTimeoutError
from versions_under_test import MakeModel, classify, figures, start


def test_a_version_that_got_too_little_time_is_not_counted_as_failing(
    gateway: Gateway, make_model: MakeModel
) -> None:
    two = make_model(version=2, delay_seconds=2.0)
    start(gateway, routing(make_model(version=1), two, percents=(0, 100)), ready=2)
    with contextlib.suppress(Problem):  # the remaining time may or may not suffice for the other version
        classify(gateway, Deadline.after(0.5))
    assert (figures(gateway, 2)["requests"], figures(gateway, 2)["errors"]) == (0, 0)
    two.fail_with, two.delay_seconds = grpc.StatusCode.UNAVAILABLE, 0.0
    classify(gateway, Deadline.after(6))
    eventually(lambda: figures(gateway, 2)["errors"] == 1, "a failure that counts")


def test_the_retry_version_has_half_of_what_was_left_after_decoding(
    gateway: Gateway, make_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = (make_model(version=1), make_model(version=2))
    start(gateway, routing(*models, percents=(0, 100)), ready=2)
    left = [6.0]
    granted = []

    class Clock(Deadline):
        def remaining_seconds(self) -> float:
            return left[0]

    def prepare(*arguments: Any) -> np.ndarray:
        left[0] = 3.0
        return np.zeros((32, 32, 3), np.uint8)

    def ask(*arguments: Any, **options: Any) -> batches.Scores:
        granted.append(arguments[3].timeout_seconds)
        if len(granted) == 1:
            left[0] -= granted[0]
            raise ModelTimeoutError
        return batches.Scores(np.array([[0.1, 0.9]]))

    monkeypatch.setattr(images, "prepare", prepare)
    monkeypatch.setattr(batches, "predict", ask)
    assert classify(gateway, Clock(0)) == 1
    assert granted == [1.5, 1.5]


def test_nothing_is_decoded_when_the_time_is_over(
    gateway: Gateway, model: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(gateway, routing(model), ready=1)
    decoded: list[object] = []
    monkeypatch.setattr(images, "prepare", lambda *arguments: decoded.append(arguments))
    with pytest.raises(Problem) as raised:
        classify(gateway, Deadline.after(0))
    assert (raised.value.cause, decoded) == ("timeout", [])
