"""With a cache, a known picture is answered without the model, but never by another version's answer."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fake_model import CONTRACT, FakeModel
from gateway_testbed import eventually, picture, routing, write_atomically
from imageclassifier_gateway.config import Settings
from imageclassifier_gateway.contract import parse_contract
from imageclassifier_gateway.gateway import Gateway, build_gateway
from imageclassifier_gateway.versions.answer_cache import AnswerCache
from versions_under_test import MakeModel, figures, start

Make = Callable[..., Gateway]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes a gateway with a cache of this size."""
    made = []

    def make_one(cache_bytes: int = 1_000_000) -> Gateway:
        settings = Settings(
            routing_file=tmp_path / "routing.json", timeout_seconds=6, cache_bytes=cache_bytes
        )
        made.append(build_gateway(settings))
        return made[-1]

    yield make_one
    for gateway in made:
        gateway.stop()


def predicted(client: Any, *colours: str) -> list[Any]:
    """The answers for pictures of these colours, all in one request."""
    images = [{"b64": base64.b64encode(picture(colour)).decode()} for colour in colours]
    response = client.post("/v1/models/pizza-model:predict", json={"instances": images})
    assert response.status_code == 200, response.text
    predictions: list[Any] = response.json["predictions"]
    return predictions


def test_a_known_picture_is_answered_without_the_model_and_counted(make: Make, model: FakeModel) -> None:
    gateway = make()
    client = start(gateway, routing(model), ready=1)
    first, second = predicted(client, "red"), predicted(client, "red")
    assert first == second
    assert len(model.requests) == 1
    assert figures(gateway, 1)["requests"] == 1  # the figures are those of the model
    metrics = gateway.stats.exposition().decode()
    assert "imageclassifier_gateway_cached_predictions_total 1.0" in metrics
    assert 'imageclassifier_gateway_predictions_total{label="pizza",version="1"} 2.0' in metrics


def test_without_the_setting_every_picture_goes_to_the_model(make: Make, model: FakeModel) -> None:
    client = start(make(cache_bytes=0), routing(model), ready=1)
    assert predicted(client, "red") == predicted(client, "red")
    assert len(model.requests) == 2


def test_only_the_new_pictures_of_a_request_go_to_the_model_and_all_keep_their_order(
    make: Make, model: FakeModel
) -> None:
    client = start(make(), routing(model), ready=1)
    [red] = predicted(client, "red")
    answers = predicted(client, "green", "red", "blue")
    assert answers[1] == red
    assert answers == predicted(client, "green", "red", "blue")
    assert [each.inputs["pixels"].tensor_shape.dim[0].size for each in model.requests] == [1, 2]


def test_a_picture_that_cannot_be_read_is_refused_each_time(make: Make, model: FakeModel) -> None:
    client = start(make(), routing(model), ready=1)
    for _ in range(2):
        assert client.post("/predict", data=b"no picture").status_code == 415
    assert not model.requests


def test_another_version_answers_with_its_own_probabilities(make: Make, make_model: MakeModel) -> None:
    gateway, model = make(), make_model(version=1)
    client = start(gateway, routing(model), ready=1)
    before = predicted(client, "red")
    other = make_model(version=2, answer=lambda pixels: np.tile([0.5, 0.5], (len(pixels), 1)))
    write_atomically(gateway.settings.routing_file, routing(other, revision=2))
    eventually(lambda: predicted(client, "red") != before, "version 2 answers")
    assert len(other.requests) == 1
    write_atomically(gateway.settings.routing_file, routing(model, revision=3))
    eventually(lambda: predicted(client, "red") == before, "version 1 answers again")
    assert len(model.requests) == 2


@pytest.mark.parametrize("percents", [(100, 0), (50, 50)])
def test_during_a_rollout_every_picture_goes_to_a_model(
    make: Make, make_model: MakeModel, percents: tuple[int, int]
) -> None:
    gateway, models = make(), (make_model(version=1), make_model(version=2))
    client = start(gateway, routing(*models, percents=percents), ready=2)
    for _ in range(6):
        predicted(client, "red")
    assert sum(len(model.requests) for model in models) == 6
    assert sum(figures(gateway, version)["requests"] for version in (1, 2)) == 6


def test_another_threshold_applies_to_known_pictures_at_once(make: Make, make_model: MakeModel) -> None:
    contract = {**CONTRACT, "threshold": 0.5}
    model = make_model(version=1, answer=lambda pixels: np.tile([0.4, 0.6], (len(pixels), 1)))
    gateway = make()

    def with_threshold(threshold: float, revision: int) -> str:
        document = json.loads(routing(model, revision=revision))
        document["versions"][0]["contract"] = {**contract, "threshold": threshold}
        return json.dumps(document)

    client = start(gateway, with_threshold(0.5, 1), ready=1)
    assert client.post("/predict", data=picture()).json["label"] == "pizza"
    write_atomically(gateway.settings.routing_file, with_threshold(0.7, 2))
    label = lambda: client.post("/predict", data=picture()).json["label"]  # noqa: E731
    eventually(lambda: label() == "not_pizza", "the new threshold applies")


def test_a_known_picture_is_as_unfamiliar_as_before(make: Make, make_model: MakeModel) -> None:
    rule = {"quantiles": [[0.5, 1.0], [1.0, 2.0]], "unfamiliar": {"beyond": 1.0}}
    contract = {**CONTRACT, "familiarity": rule}
    model = make_model(version=1, contract=contract, distance=lambda pixels: [3.0] * len(pixels))
    client = start(make(), routing(model), ready=1)
    first, second = (client.post("/predict", data=picture("red")).get_json() for _ in range(2))
    assert len(model.requests) == 1
    assert first["label"] is second["label"] is None
    assert second["familiarity"] == first["familiarity"] == {"distance": 3.0, "limit": 2.0, "familiar": False}


def test_the_cache_keeps_what_was_used_last_within_its_memory() -> None:
    contract = parse_contract(CONTRACT)
    cache = AnswerCache(max_bytes=1500)  # three entries with two classes
    row = ((0.25, 0.75), 1.5)
    for number in range(3):
        cache.keep(contract, {bytes([number]): row})
    cache.find(contract, [b"\0"])
    cache.keep(contract, {b"\3": row})
    assert cache.find(contract, [b"\0", b"\1", b"\2", b"\3"]) == [row, None, row, row]
    again = parse_contract(CONTRACT)
    assert cache.find(again, [b"\0"]) == [None]
