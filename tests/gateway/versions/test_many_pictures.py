"""Requests with several pictures: the calls that they are cut into, and what counts."""

from __future__ import annotations

import io

import grpc
import pytest

from fake_model import FakeModel
from gateway_testbed import picture, routing
from imageclassifier_gateway.gateway import Gateway
from versions_under_test import MakeModel, figures, start


def form(count: int, **more: bytes) -> dict[str, tuple[io.BytesIO, str]]:
    """A form with this many pictures, each with its own file name."""
    files = {f"file{i}": picture(("red", "blue")[i % 2]) for i in range(count)} | more
    return {name: (io.BytesIO(data), name) for name, data in files.items()}


def sizes(model: FakeModel) -> list[int]:
    """The number of pictures in each call to a model."""
    return [request.inputs["pixels"].tensor_shape.dim[0].size for request in model.requests]


def test_a_request_with_many_pictures_is_cut_into_calls_of_eight_and_counts_once(
    gateway: Gateway, model: FakeModel
) -> None:
    client = start(gateway, routing(model), ready=1)
    results = client.post("/predict", data=form(20, broken=b"nonsense")).get_json()["results"]
    assert [each.get("label") for each in results] == ["pizza", "not_pizza"] * 10 + [None]
    assert sizes(model) == [8, 8, 4]
    assert figures(gateway, 1)["requests"] == figures(gateway, 1)["latency_seconds"]["buckets"]["+Inf"] == 1


def test_the_latency_that_counts_does_not_grow_with_the_number_of_pictures(
    gateway: Gateway, make_model: MakeModel
) -> None:
    client = start(gateway, routing(make_model(delay_seconds=0.4)), ready=1)
    assert client.post("/predict", data=form(8)).status_code == 200
    assert 0.4 / 8 <= figures(gateway, 1)["latency_seconds"]["sum"] < 0.4


@pytest.mark.parametrize("most", [1, 4])
def test_a_model_that_takes_fewer_pictures_at_once_gets_them_one_by_one_and_no_error_counts(
    gateway: Gateway, make_model: MakeModel, most: int
) -> None:
    two = make_model(
        version=2,
        refuse=lambda pixels: grpc.StatusCode.INVALID_ARGUMENT if len(pixels) > most else None,
        fail_details=f"Task size 8 is larger than maximum input batch size {most}",
    )
    client = start(gateway, routing(make_model(version=1), two, percents=(0, 100)), ready=2)
    answer = client.post("/predict", data=form(10)).get_json()
    assert answer["model"]["version"] == 2
    assert [each["label"] for each in answer["results"]] == ["pizza", "not_pizza"] * 5
    assert figures(gateway, 2)["errors"] == 0
