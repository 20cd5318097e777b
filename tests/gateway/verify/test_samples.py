"""The verification sends different pictures to a model from elsewhere."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import pytest

from fake_model import CONTRACT, FakeModel, redness
from imageclassifier_gateway.config import Settings
from imageclassifier_gateway.verify.verification import verify


def verdict(candidate: FakeModel, **output: Any) -> Any:
    contract = {**CONTRACT, "output": output} if output else CONTRACT
    target = {"version": candidate.version, "target": candidate.target, "contract": contract}
    plan = {"schema": 1, "model": "pizza-model", "candidate": target, "deadline_seconds": 60}
    return json.loads(verify(plan, Settings()).text())


def logits(pixels: Any) -> Any:
    """Half and half for gray, far from it for white."""
    mean = pixels.reshape(len(pixels), -1).mean(axis=1) / 255 - 0.5
    return np.stack([0.5 + 8 * mean, 0.5 - 8 * mean], axis=1)


def changing() -> Callable[[Any], Any]:
    """Another answer in each call, as with dropout."""
    calls = itertools.count()
    return lambda pixels: np.tile([[0.3, 0.7], [0.7, 0.3]][next(calls) // 4 % 2], (len(pixels), 1))


def mixed(pixels: Any) -> Any:
    """Each row depends on the whole batch."""
    return np.tile(redness(pixels).mean(axis=0) if len(pixels) == 1 else [0.9, 0.1], (len(pixels), 1))


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (logits, "is not a probability. If the model returns logits, set spec.output.activation to softmax"),
        (lambda pixels: np.full((len(pixels), 2), 0.7), "sum to 1.400 and not to 1"),
        (changing(), "differ by 0.400 from call to call"),
        (mixed, "beside other pictures"),
    ],
    ids=["logits", "sum", "dropout", "batch"],
)
def test_a_model_whose_outputs_cannot_be_probabilities_is_refused(
    make_model: Callable[..., FakeModel], answer: Callable[[Any], Any], sentence: str
) -> None:
    result = verdict(make_model(version=2, contract=None, answer=answer))
    assert result["reason"] == "ContractInvalid"
    assert sentence in result["message"]


def test_the_activation_in_the_spec_makes_logits_probabilities(make_model: Callable[..., FakeModel]) -> None:
    result = verdict(make_model(version=2, contract=None, answer=logits), activation="softmax")
    assert (result["passed"], result.get("warnings")) == (True, None)


def test_classes_that_do_not_exclude_each_other_need_not_sum_to_one(
    make_model: Callable[..., FakeModel],
) -> None:
    model = make_model(version=2, contract=None, answer=lambda pixels: 1.4 * np.clip(logits(pixels), 0, 0.7))
    assert verdict(model, activation="sigmoid")["passed"]


def test_a_model_that_refuses_an_assumed_shape_is_refused_with_the_fields_to_set(
    make_model: Callable[..., FakeModel],
) -> None:
    def refuse(pixels: Any) -> grpc.StatusCode:
        return grpc.StatusCode.INVALID_ARGUMENT

    model = make_model(version=2, contract=None, has_input_shape=False, refuse=refuse)
    result = verdict(model)
    assert result["reason"] == "ContractInvalid"
    assert "does not have the shape of its input 'pixels' (uint8), so the layout NHWC" in result["message"]
    assert result["message"].endswith("set spec.input.layout and spec.input.channels.")


def test_an_output_that_ignores_the_picture_is_a_warning_with_the_figures(
    make_model: Callable[..., FakeModel],
) -> None:
    model = make_model(version=2, contract=None, answer=lambda pixels: np.tile([0.4, 0.6], (len(pixels), 1)))
    result = verdict(model)
    assert result["passed"]
    [warning] = result["warnings"]
    assert "black, white, gradient, noise pictures differ by 0.000000 at most" in warning
